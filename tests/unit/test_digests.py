import hashlib

import pytest

from skyport_wf.digests import digest_of, is_sha256


def test_the_digest_of_some_bytes():
    assert digest_of(b"abc") == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert is_sha256(digest_of(b""))


@pytest.mark.parametrize(
    "text",
    [
        "", "sha256:", "a" * 64, f"sha256:{'a' * 63}", f"sha256:{'a' * 65}", f"sha256:{'A' * 64}", f"sha256:{'g' * 64}",
        f"sha512:{'a' * 64}", f"sha256:{'a' * 64}\n", f" sha256:{'a' * 64}",
    ],
)  # fmt: skip
def test_what_is_no_digest(text):
    assert not is_sha256(text)
