import getpass
import os

import msgspec
import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import open_shock, system_user
from skyport_wf.publication.settings import (
    download_base,
    effective_settings,
    read_token,
    registry_of,
    shock_url,
    token_source,
)
from skyport_wf.records.files import update_lock, write_record
from tests.support.failing_server import refusal
from tests.support.sample_records import receipt

SECRET = "s3cr3t-token"


@pytest.mark.parametrize(
    ("variable", "setting", "meant"),
    [
        (None, "embedded", "embedded"),
        (None, "http://a/", "http://a"),
        ("http://b/", "http://a", "http://b"),
        ("embedded", "http://a", "embedded"),
        ("", "http://a", "http://a"),
    ],
)
def test_the_variable_wins_over_the_list(monkeypatch, variable, setting, meant):
    if variable is not None:
        monkeypatch.setenv("SHOCK_URL", variable)
    assert shock_url(ShockSettings(url=setting)) == meant


@pytest.mark.parametrize("url", [f"https://me:{SECRET}@shock.example.org", f"http://x?{SECRET}", "shock.example.org"])
def test_a_wrong_variable_is_refused_and_never_echoed(monkeypatch, url):
    monkeypatch.setenv("SHOCK_URL", url)
    with pytest.raises(UsageError, match=r"^the variable SHOCK_URL: ") as caught:
        shock_url(ShockSettings())
    assert SECRET not in str(caught.value)


def test_the_registry_of_the_variable_wins(monkeypatch):
    assert registry_of(ShockSettings()) == registry_of() == ""
    assert registry_of(ShockSettings(registry="a.org")) == "a.org"
    monkeypatch.setenv("SKYPORT_REGISTRY", "b.org:5000")
    assert registry_of(ShockSettings(registry="a.org")) == registry_of() == "b.org:5000"
    assert effective_settings(ShockSettings(registry="a.org")).registry == "b.org:5000"
    monkeypatch.setenv("SKYPORT_REGISTRY", f"https://{SECRET}@b.org")
    with pytest.raises(UsageError, match=r"^the variable SKYPORT_REGISTRY: not a registry\. Write HOST") as caught:
        registry_of()
    assert SECRET not in str(caught.value)


def test_settings_with_what_wins_over_them(monkeypatch):
    monkeypatch.setenv("SHOCK_URL", "http://b/")
    settings = ShockSettings(url="http://a", token_env="T", public=True, public_url="http://c")
    assert effective_settings(settings) == ShockSettings("http://b", "T", public=True, public_url="http://c")
    assert effective_settings(settings, public=False).public is False
    assert effective_settings(ShockSettings(public=False)).public is False
    assert effective_settings(ShockSettings(public=False), public=True).public is True


@pytest.mark.parametrize(
    ("value", "token"), [(None, None), ("", None), ("  \n", None), (SECRET, SECRET), (f" {SECRET}\n", SECRET)]
)
def test_the_token_is_in_the_variable_that_the_list_names(monkeypatch, value, token):
    if value is not None:
        monkeypatch.setenv("MY_TOKEN", value)
    monkeypatch.setenv("KB_AUTH_TOKEN", "another")
    assert read_token(ShockSettings(token_env="MY_TOKEN")) == token


@pytest.mark.parametrize(
    "value", [f"{SECRET}\nX-Header: 1", f"{SECRET}\x00"[:-1] + "\x7f", f"{SECRET}ü", f"{SECRET}\t."]
)
def test_a_token_that_no_header_can_carry_is_refused_and_never_echoed(monkeypatch, value):
    monkeypatch.setenv("KB_AUTH_TOKEN", value)
    with pytest.raises(UsageError) as caught:
        read_token(ShockSettings())
    assert str(caught.value) == "the token in KB_AUTH_TOKEN has characters that no token has. Set it again."


class TestTokenFile:
    @pytest.fixture
    def file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SHOCK_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("KB_AUTH_TOKEN", "another")
        return tmp_path / "token"

    def problem(self):
        with pytest.raises(UsageError) as caught:
            read_token(ShockSettings())
        return str(caught.value)

    def test_wins_over_the_variable(self, file):
        file.write_text(f"{SECRET}\n")
        assert read_token(ShockSettings()) == SECRET

    def test_has_to_be_there(self, file):
        assert self.problem() == f"cannot read the token file {file} (SHOCK_TOKEN_FILE): No such file or directory"

    @pytest.mark.parametrize("named", ["", "  "])
    def test_no_name_of_one_is_none(self, monkeypatch, named):
        monkeypatch.setenv("SHOCK_TOKEN_FILE", named)
        monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
        assert read_token(ShockSettings()) == SECRET
        assert token_source(ShockSettings()) == "KB_AUTH_TOKEN"

    @pytest.mark.parametrize("content", [b"", b"  \n"])
    def test_has_to_hold_something(self, file, content):
        file.write_bytes(content)
        assert self.problem() == f"the token file {file} (SHOCK_TOKEN_FILE) is empty"

    @pytest.mark.parametrize("content", [SECRET.encode() + b"\nmore", SECRET.encode() + b"\xff", b"\x00" * 9])
    def test_has_to_hold_a_token(self, file, content):
        file.write_bytes(content)
        assert self.problem() == f"the token in {file} has characters that no token has. Set it again."


@pytest.mark.parametrize("value", ["", "shock", "./shock", "~/shock"])
def test_the_embedded_shock_is_not_kept_in_a_folder_that_depends_on_where_one_is(monkeypatch, value):
    monkeypatch.setenv("SKYPORT_DATA", value)
    with pytest.raises(UsageError) as caught, open_shock(ShockSettings()) as shock:
        shock.user.query({})
    assert str(caught.value) == (
        f"the variable SKYPORT_DATA is {value!r}. Give it an absolute path, where the embedded Shock keeps its data; "
        "or name a served Shock in SHOCK_URL."
    )


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        (ShockSettings(), "http://127.0.0.1:7445"),
        (ShockSettings(public_url="https://shock.example.org/api/"), "https://shock.example.org/api"),
        (ShockSettings(url="http://a/"), "http://a"),
        (ShockSettings(url="http://a", public_url="http://b/"), "http://b"),
    ],
)
def test_where_downloads_are(settings, base):
    assert download_base(settings) == base


def test_the_token_goes_only_where_it_is_meant_to(monkeypatch, failing_server):
    monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
    settings = ShockSettings(url=failing_server.url)
    with open_shock(settings) as shock:
        shock.user.find("n")
        shock.anybody.find("n")
    assert [request.headers.get("Authorization") for request in failing_server.seen] == [f"OAuth {SECRET}", None]


def test_a_netrc_takes_no_tokens_place(monkeypatch, failing_server, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with open_shock(ShockSettings(url=failing_server.url)) as shock:
        shock.user.find("n")
    monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
    with open_shock(ShockSettings(url=failing_server.url)) as shock:
        shock.user.find("n")
    assert [request.headers.get("Authorization") for request in failing_server.seen] == [None, f"OAuth {SECRET}"]


def test_the_embedded_shock_is_written_as_the_systems_user(shock, monkeypatch):
    node = shock.create(lambda: [b"x"], file_name="x", attributes={}, expiration="2D")
    assert shock.read_access(node.id).owner == shock.read_access(node.id).read[0]
    assert shock.name == "the embedded Shock"
    # It is the same user the next time, and not the one whose token lies about.
    monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
    with open_shock(ShockSettings()) as again:
        assert again.user.find(node.id) is not None
    assert getpass.getuser()


@pytest.mark.parametrize(
    "name", ["Anna Lab", "a/b", "public", "x" * 129, "a\nb", "\udc80", "00000000-0000-4000-8000-000000000000"]
)
def test_a_login_name_that_the_store_takes_of_no_user_is_a_number(monkeypatch, name):
    """As a Windows domain's with a space."""
    monkeypatch.setattr(getpass, "getuser", lambda: name)
    assert system_user() == f"uid{os.getuid()}"
    with open_shock(ShockSettings()) as shock:
        node = shock.user.create(lambda: [b"x"], file_name="x", attributes={}, expiration="2D")
        assert shock.may_change(node.id)


def test_the_embedded_shock_without_a_token_reads_only_what_is_public(opened, shock):
    node = shock.create(lambda: [b"x"], file_name="x", attributes={"a": "b"}, expiration="2D")
    stranger = opened.anybody
    assert stranger.query({"a": "b"}) == []
    shock.set_public(node.id, True)
    assert [found.id for found in stranger.query({"a": "b"})] == [node.id]


LIST = "shock: {{url: 'http://mine.test', token_env: {}}}\nimages: [{{name: 'lab/a:1', archive: a.tar}}]\n"


@pytest.mark.parametrize(
    ("images", "variables", "sent"),
    [
        (LIST.format("KB_AUTH_TOKEN"), {"KB_AUTH_TOKEN": "mine"}, None),
        (LIST.format("MY_TOKEN"), {"MY_TOKEN": "mine"}, None),
        (LIST.format("MY_TOKEN"), {"MY_TOKEN": "mine", "KB_AUTH_TOKEN": "theirs"}, "OAuth theirs"),
        (LIST.format("MY_TOKEN"), {"SHOCK_TOKEN_FILE": "token"}, None),
        ("", {"KB_AUTH_TOKEN": "theirs"}, "OAuth theirs"),
        ("images: [{name: 'lab/a:1', archive: a.tar}]", {"KB_AUTH_TOKEN": "theirs"}, "OAuth theirs"),
        (LIST.format("KB_AUTH_TOKEN"), {"KB_AUTH_TOKEN": "theirs", "SHOCK_URL": "theirs"}, "OAuth theirs"),
    ],
)
def test_the_shock_that_a_record_names_does_not_get_the_token_for_the_lists(
    tmp_path, monkeypatch, failing_server, images, variables, sent
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("mine")
    if images:
        (tmp_path / "images.yaml").write_text(images)
    for variable in ("KB_AUTH_TOKEN", "SHOCK_URL", "SHOCK_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, failing_server.url if variable == "SHOCK_URL" else value)
    theirs = msgspec.structs.replace(receipt(name="lab/a:1"), shock=failing_server.url)
    write_record(tmp_path / "receipt.json", theirs)
    update_lock(tmp_path / "others.lock.json", [theirs])
    failing_server.answers = [refusal(404, "Node not found")]
    for command in (
        ["pull", "--output", "a.tar.gz", "--receipt", "receipt.json"],
        ["receipt", "lab/a:1", "--locked", "others.lock.json"],
    ):
        failing_server.seen.clear()
        assert main(command) == 1
        assert {request.headers.get("Authorization") for request in failing_server.seen} == {sent}
