import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image_list.registry_address import RegistryAddress, parse_registry_address

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("quay.io/bio/velvet:1.2.10--h7", RegistryAddress("quay.io", "bio/velvet", "1.2.10--h7")),
        ("127.0.0.1:5000/a:1", RegistryAddress("127.0.0.1:5000", "a", "1")),
        ("[::1]:5000/a/b/c:1", RegistryAddress("[::1]:5000", "a/b/c", "1")),
        ("localhost/a:1", RegistryAddress("localhost", "a", "1")),
        (f"quay.io/a@{DIGEST}", RegistryAddress("quay.io", "a", "latest", DIGEST)),
        (f"quay.io/a:1@{DIGEST}", RegistryAddress("quay.io", "a", "1", DIGEST)),
        ("quay.io/a", RegistryAddress("quay.io", "a", "latest")),
        # Docker Hub has its own spellings.
        ("debian:12", RegistryAddress("docker.io", "library/debian", "12")),
        ("anna/tool:1", RegistryAddress("docker.io", "anna/tool", "1")),
        ("docker.io/debian:12", RegistryAddress("docker.io", "library/debian", "12")),
        ("index.docker.io/anna/tool:1", RegistryAddress("docker.io", "anna/tool", "1")),
    ],
)
def test_addresses(text: str, meant: RegistryAddress) -> None:
    assert parse_registry_address(text) == meant
    assert parse_registry_address(str(meant)) in (
        meant,
        RegistryAddress(meant.host, meant.repository, "latest", DIGEST),
    )


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "a b:1", "quay.io/", "quay.io/A:1", "https://quay.io/a:1", "docker://quay.io/a:1", "quay.io/a:1:2",
        "me:secret@quay.io/a:1", "quay.io/a@sha256:abc", f"quay.io/a@sha512:{'a' * 128}", "quay.io/../a:1",
        f"quay.io/a@sha256:{'A' * 64}", "quay.io/a:1\n", "quay.io:x/a:1",
        "quay.io:99999/a:1", "quay.io:0/a:1", f"{'q' * 64}.io/a:1",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"Write HOST/REPO:TAG or HOST/REPO@sha256:") as caught:
        parse_registry_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("quay.io/a@sha256:abc", "the digest is no SHA-256"),
        (f"quay.io/a@sha256:{'a' * 63}", "the digest is no SHA-256"),
        ("me:secret@quay.io/a:1", "not an image in a registry"),
    ],
)
def test_it_is_told_why(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_registry_address(text)
