"""Build secrets do not get into what is kept of a build's output."""

from pathlib import Path

import pytest

from skyport_wf.engine.build_inputs import secret_mask, secret_options
from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import BuildSecret


def test_a_secret_is_masked_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "s3cr.t")
    mask = secret_mask({"key": BuildSecret(env="LAB_KEY")})
    assert mask("get https://s3cr.t@host/s3cr.t") == "get https://***@host/***"
    assert mask("s3crat") == "s3crat"


def test_a_secret_of_several_lines_is_masked_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"-----BEGIN KEY-----\r\nMIIEabc\nMIIE\nab\n\xff\n")
    mask = secret_mask({"key": BuildSecret(file=str(tmp_path / "key"))})
    assert mask("#5 0.1 MIIEabc\n#5 0.1 MIIE, ab\n") == "#5 0.1 ***\n#5 0.1 ***, ab\n"


@pytest.mark.parametrize("secret", [BuildSecret(env="LAB_KEY"), BuildSecret(file="nowhere/key")])
def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch, secret: BuildSecret) -> None:
    monkeypatch.delenv("LAB_KEY", raising=False)
    assert secret_mask({"key": secret})("text") == "text"
    with pytest.raises(UsageError, match=r"LAB_KEY of the build secret 'key' is not set|no file nowhere/key"):
        list(secret_options({"key": secret}))


def test_an_empty_secret_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "\n")
    assert secret_mask({"key": BuildSecret(env="LAB_KEY")})("a b") == "a b"


def test_a_comma_or_a_quote_in_a_name_does_not_begin_another_field(tmp_path: Path) -> None:
    (tmp_path / 'a,src="b').write_text("secret")
    options = list(secret_options({"one,env=HOME": BuildSecret(file=f'{tmp_path}/a,src="b')}))
    assert options == ["--secret", f'"id=one,env=HOME","src={tmp_path}/a,src=""b"']
