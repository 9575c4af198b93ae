"""Who may do what with a name, on which server: the table of the guide, walked against a served store over HTTP."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.publication.attributes import RETIRED_TYPE
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

GUIDE = (CHECKOUT / "docs/guide/publishing.md").read_text()
USERS = ("owner", "another user", "no token", "admin")
RIGHTS = {"reads and writes": {"read", "write"}, "reads": {"read"}, "does nothing": set[str]()}
NAME = "lab/tool:1.0"


def table() -> Iterator[tuple[str, str, str, str]]:
    """Yield what everyone may do, what the name stands for, the user, and what publishing does, as the guide says."""
    section = GUIDE.partition("## Who may do what")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 2 + len(USERS) and cells[0] in RIGHTS:
            for user, outcome in zip(USERS, cells[2:], strict=True):
                yield cells[0], cells[1], user, outcome


ROWS = list(table())


def archive(folder: Path, content: str) -> Path:
    path = folder / f"{content}.tar"
    path.write_bytes(canonical(Image((layer_tar({"file": content.encode()}),)), NAME))
    return path


class Server:
    """A served store with users, and a note of the requests that change it."""

    def __init__(self, store: Store, rights: set[str]) -> None:
        self._app = ShockApp(store, anonymous=frozenset(rights))
        self.changes: list[str] = []
        self.tokens = {
            "owner": add_user(store.database, "owner"),
            "another user": add_user(store.database, "another"),
            "admin": add_user(store.database, "admin", admin=True),
            "no token": "",
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            self.changes.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        return self._app(environ, start_response)


def publish(folder: Path, content: str, *options: str, public: bool = True) -> int:
    image = f"{{name: '{NAME}', archive: {archive(folder, content)}, public: {str(public).lower()}}}"
    (folder / "images.yaml").write_text(f"images:\n- {image}\n")
    return main(["publish", NAME, "--images", str(folder / "images.yaml"), "--json", *options])


def prepare(folder: Path, name: str, client: ShockClient) -> None:
    """Let the name be what the table says; the owner is the one who is asked for."""
    content = "another" if name == "another image" else "wanted"
    if name == "free":
        return
    assert publish(folder, content, public=name != "this image, private") == 0
    if name == "retired":
        assert main(["retire", NAME]) == 0
        assert client.query({"type": RETIRED_TYPE})


def test_the_table_is_whole():
    assert len(ROWS) == len({row[:3] for row in ROWS}) == 3 * 5 * len(USERS)


@pytest.mark.slow
@pytest.mark.parametrize(("everyone", "name", "user", "outcome"), ROWS)
def test_publishing(tmp_path, monkeypatch, capsys, everyone, name, user, outcome):
    with open_store(tmp_path / "store") as store:
        app = Server(store, RIGHTS[everyone])
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens["owner"])
            prepare(tmp_path, name, ShockClient(server.url, token=app.tokens["admin"]))
            monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens[user])
            capsys.readouterr()
            app.changes.clear()
            rehearsed = publish(tmp_path, "wanted", "--dry-run")
            told = json.loads(capsys.readouterr().out)
            status = main(["status", "--images", str(tmp_path / "images.yaml"), "--json"])
            state = json.loads(capsys.readouterr().out)
            assert app.changes == [], "looking changes nothing"
            done = publish(tmp_path, "wanted")
            document = json.loads(capsys.readouterr().out)
            changed = bool(app.changes)
    assert (done == 0) == (rehearsed == 0), "the dry run and publishing agree"
    what, _, words = outcome.partition(": ")
    assert what in ("published", "done already", "opened", "refused")
    assert (done == 0) == (what != "refused")
    assert changed == (what in ("published", "opened")), app.changes
    if what == "refused":
        assert re.search(words, document["error"])
        assert status != 0
        return
    assert document["published"][0]["readable_by"] == "everyone"
    assert (status == 0) == (what == "done already")
    expected = {"published": "publish it", "done already": "do nothing", "opened": "open it to everyone"}[what]
    assert told["dry_run"][0]["next"] == expected
    assert state["images"][0]["next"] == expected


@pytest.fixture
def served(tmp_path, monkeypatch):
    with open_store(tmp_path / "store") as store:
        app = Server(store, {"read", "write"})
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            yield app


@pytest.mark.slow
def test_what_asks_as_nobody_where_nobody_may_read_gives_no_advice_to_set_a_token(tmp_path, monkeypatch, capsys):
    with open_store(tmp_path / "store") as store:
        app = Server(store, RIGHTS["does nothing"])
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens["owner"])
            assert publish(tmp_path, "wanted") == 0
            for command, told in (
                (["resolve", NAME, "--anonymous"], "so an AWE worker without one finds no image there."),
                (["catalogue", "--out", str(tmp_path / "pages")], "--private lists those that you may."),
            ):
                capsys.readouterr()
                assert main(command) == 1
                error = capsys.readouterr().err
                assert f"skyport-wf: {server.url} tells nothing to those without a token, so " in error
                assert told in error
                assert "Put a token" not in error
            assert not (tmp_path / "pages").exists()
            assert main(["catalogue", "--out", str(tmp_path / "pages"), "--private"]) == 0


@pytest.mark.slow
def test_everyone_gets_the_same_receipt(served, tmp_path, monkeypatch, capsys):
    receipts = set()
    for user in USERS:
        monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens[user])
        record = tmp_path / f"{user}.json"
        assert publish(tmp_path, "wanted", "--record", str(record)) == 0
        receipts.add(record.read_bytes())
        served.changes.clear()
    assert len(receipts) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("pack", "code"), [(bytes, 1), (gzip.compress, 0)], ids=["a new node", "the same node"])
def test_an_administrator_takes_no_image_from_its_owner_by_adopting_it(
    served, tmp_path, monkeypatch, capsys, pack, code
):
    owner = ShockClient(os.environ["SHOCK_URL"], token=served.tokens["owner"])
    told, file = {"type": "dockerimage", "name": NAME, "id": "x"}, pack(archive(tmp_path, "old").read_bytes())
    node = owner.keep(owner.create(lambda: [file], file_name="a", attributes=told, expiration="1D").id)
    whose = owner.read_access(node.id).owner
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["admin"])
    assert main(["adopt", NAME]) == code
    told = capsys.readouterr().err
    assert (f"{NAME} is published by another user (node {node.id})" in told) == (code == 1)
    assert "sending" not in told
    assert [one.id for one in owner.query({"type": "dockerimage*"})] == [node.id]
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    assert main(["adopt", NAME]) == 0
    (now,) = owner.query({"type": "dockerimage"})
    assert owner.read_access(now.id).owner == whose


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_who_may_read_what_is_there_already_is_not_changed_silently(tmp_path, monkeypatch, capsys, jobs):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.yaml").write_text(
        f"images: [{{name: '{NAME}', archive: {archive(tmp_path, 'a').name}}},"
        f" {{name: lab/private:1, archive: {archive(tmp_path, 'b').name}, public: false}}]\n"
    )
    assert main(["publish", "--all", "--private", "--quiet"]) == 0
    for options, changed, told in (
        ([], {"opened": [NAME], "closed": []}, [f"{NAME} was private"]),
        (["--private"], {"opened": [], "closed": [NAME]}, [f"{NAME} was public"]),
        (["--private"], {"opened": [], "closed": []}, []),
    ):
        capsys.readouterr()
        assert main(["publish", "--all", "--jobs", jobs, "--json", *options]) == 0
        said = capsys.readouterr()
        document = json.loads(said.out)
        assert {word: document[word] for word in changed} == changed
        assert document["there_already"] == [NAME, "lab/private:1"]
        assert re.findall(r"skyport-wf: (\S+ was \w+) \(node ", said.err) == told


@pytest.mark.slow
def test_nobodys_image_cannot_be_private_and_status_and_dry_run_say_so(served, tmp_path, monkeypatch, capsys):
    assert publish(tmp_path, "wanted") == 0
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    served.changes.clear()
    why = (
        f"{NAME} cannot be private: it was uploaded without a token, so it is nobody's. Retire it (skyport-wf retire "
        f"{NAME}) and publish it again, with your token."
    )
    capsys.readouterr()
    assert publish(tmp_path, "wanted", "--dry-run", public=False) == 1
    assert json.loads(capsys.readouterr().out)["dry_run"][0]["next"] == f"fail: {why}"
    assert publish(tmp_path, "wanted", public=False) == 1
    assert json.loads(capsys.readouterr().out)["error"] == why
    assert served.changes == []
    assert main(["retire", NAME]) == publish(tmp_path, "wanted", public=False) == 0


@pytest.mark.slow
def test_who_has_forgotten_the_token_hears_so(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    monkeypatch.chdir(tmp_path)
    assert publish(tmp_path, "wanted", "--record", "published.json") == 0
    node = json.loads((tmp_path / "published.json").read_text())["node"]
    monkeypatch.setenv("KB_AUTH_TOKEN", "")
    for command in (["retire", NAME], ["retire", "--node", node], ["adopt", NAME]):
        capsys.readouterr()
        assert main(command) == 1
        told = capsys.readouterr().err
        assert "may not be changed without a token. Put a token into KB_AUTH_TOKEN" in told
        assert "another user" not in told


@pytest.mark.slow
def test_whoever_may_read_a_public_image_can_do_all_that_only_reads(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    monkeypatch.chdir(tmp_path)
    assert publish(tmp_path, "wanted", "--record", "published.json") == 0
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["another user"])
    served.changes.clear()
    node = json.loads((tmp_path / "published.json").read_text())["node"]
    # Who may read a node, Shock tells its owner only, so nothing may depend on that.
    with pytest.raises(ShockRefusalError):
        ShockClient(os.environ["SHOCK_URL"], token=served.tokens["another user"]).read_access(node)
    for command, told in (
        (["resolve", NAME], node),
        (["show", NAME], NAME),
        (["ls", "--long"], node),
        (["receipt", NAME, "--record", "receipt.json"], NAME),
        (["sbom", "receipt.json", "--record", "sbom.json"], "sbom.json"),
        (["pull", NAME, "--output", "pulled.tar.gz"], "pulled.tar.gz"),
        (["copy", NAME, "--to", "embedded"], NAME),
    ):
        capsys.readouterr()
        assert main(command) == 0, (command, capsys.readouterr().err)
        assert told in capsys.readouterr().out, command
    assert served.changes == []
    assert json.loads((tmp_path / "receipt.json").read_text())["node"] == node
    monkeypatch.setenv("SHOCK_URL", "embedded")
    assert main(["resolve", NAME]) == 0


@pytest.mark.slow
def test_a_shock_that_sends_its_clients_elsewhere_is_told_before_anything_is_sent(
    served, tmp_path, monkeypatch, capsys
):
    """The token goes to no other server, and what changes something follows to none."""
    there = os.environ["SHOCK_URL"]
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    assert publish(tmp_path, "wanted") == 0
    (tmp_path / "images.yaml").write_text((tmp_path / "images.yaml").read_text().replace(NAME, f"{NAME}.1"))

    def redirect(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        location = f"{there}{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        start_response("301 Moved Permanently", [("Location", location), ("Content-Length", "0")])
        return []

    verbs = (["publish", "--all"], ["publish", "--all", "--dry-run"], ["status"])
    with running_server(redirect) as server:
        monkeypatch.setenv("SHOCK_URL", server.url)
        for token in (served.tokens["owner"], "utterly-wrong", ""):
            monkeypatch.setenv("KB_AUTH_TOKEN", token)
            served.changes.clear()
            capsys.readouterr()
            assert main(["doctor", "--json"]) == 1
            found = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
            assert not found["token"]["ok"]
            assert found["Shock"] == {
                "what": "Shock",
                "ok": False,
                "detail": f"{server.url} sends GET / elsewhere. Give the URL that it redirects to: {there}.",
            }
            for verb in verbs:
                assert main([*verb, "--images", str(tmp_path / "images.yaml")]) != 0
                told = "".join(capsys.readouterr())
                assert f"{server.url} sends GET /node" in told
                assert f"elsewhere. Give the URL that it redirects to: {there}." in " ".join(told.split())
            assert served.changes == []
        # What anybody may read is there without a token.
        assert main(["resolve", NAME]) == 0


@pytest.mark.slow
def test_a_front_that_lets_nobody_in_without_a_token(tmp_path, monkeypatch, capsys):
    """As with HTTP Basic: also what Shock says of itself is told to users only."""
    with open_store(tmp_path / "store") as store:
        app = Server(store, {"read"})
        owner = app.tokens["owner"]

        def front(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
            if "HTTP_AUTHORIZATION" in environ:
                return app(environ, start_response)
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="x"'), ("Content-Length", "0")])
            return []

        with running_server(front) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            # What Shock says of itself it says to any token.
            for token, shock_ok, ok in (("", False, False), ("utterly-wrong", True, False), (owner, True, True)):
                monkeypatch.setenv("KB_AUTH_TOKEN", token)
                assert main(["doctor", "--json"]) == 1, "there is no engine"
                found = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
                assert (found["Shock"]["ok"], found["token"]["ok"]) == (shock_ok, ok)
                assert ("only jobs that have one find images" in found["Shock"]["detail"]) == shock_ok
                assert publish(tmp_path, "wanted") == (0 if ok else 1)
                assert bool(app.changes) == ok
                capsys.readouterr()
            assert main(["tag", NAME, f"{NAME}.1"]) == 0


def test_a_front_with_another_page_at_the_root_is_told_before_anything_is_sent(tmp_path, monkeypatch, capsys):
    """There Shock says what a worker without a token gets: the image was sent, then refused, each time."""
    with open_store(tmp_path / "store") as store:
        app = Server(store, {"read"})

        def front(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
            if environ["PATH_INFO"] != "/":
                return app(environ, start_response)
            start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "6")])
            return [b"<html>"]

        with running_server(front) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens["owner"])
            for options in ([], ["--dry-run"]):
                assert publish(tmp_path, "wanted", *options) == 1
                assert "answers GET / with something else than Shock does" in " ".join(
                    "".join(capsys.readouterr()).split()
                )
            assert main(["status", "--images", str(tmp_path / "images.yaml")]) == 3
            assert "answers GET / with something else" in " ".join(capsys.readouterr().out.split())
            assert app.changes == []
            assert publish(tmp_path, "wanted", public=False) == 0


@pytest.mark.parametrize("verb", [["publish", NAME], ["publish", NAME, "--dry-run"], ["status"]], ids=" ".join)
def test_nothing_private_is_sent_without_a_token(served, tmp_path, monkeypatch, capsys, verb):
    monkeypatch.setenv("KB_AUTH_TOKEN", "")
    assert publish(tmp_path, "wanted", "--dry-run", public=False) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["error"], document["exit_code"]) == ("1 of 1 image would fail", 1)
    assert main([*verb, "--images", str(tmp_path / "images.yaml")]) != 0
    told = capsys.readouterr()
    assert f"{NAME} cannot be private without a token" in told.out + told.err
    assert served.changes == []


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Return what serves a store on which everyone has the rights that it is given."""
    with ExitStack() as opened:

        def start(rights: set[str]) -> Server:
            app = Server(opened.enter_context(open_store(tmp_path / "store")), rights)
            monkeypatch.setenv("SHOCK_URL", opened.enter_context(running_server(app)).url)
            return app

        monkeypatch.chdir(tmp_path)
        yield start


@pytest.mark.parametrize(
    ("everyone", "shock", "token"),
    [
        ("reads and writes", "answers", "without one, images are nobody's, and readable by everyone at once"),
        ("reads", "answers", "without one, this server takes no images"),
        (
            "does nothing",
            "answers; without a token nobody may read there, so only jobs that have one find images",
            "without one, this server takes no images",
        ),
    ],
)
def test_doctor_says_what_goes_without_a_token(serve, monkeypatch, capsys, everyone, shock, token):
    app = serve(RIGHTS[everyone])
    url = os.environ["SHOCK_URL"]
    for user in ("no token", "owner"):
        monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens[user])
        assert main(["doctor", "--json"]) == 1, "there is no engine"
        found = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
        assert found["Shock"] == {"what": "Shock", "ok": True, "detail": f"{url} {shock}"}
        assert found["token"]["ok"] == (user == "owner")
        if user == "no token":
            assert found["token"]["detail"].endswith(
                f"is not set. Ask the server's administrator for a token; {token}."
            )


def test_doctor_reads_a_token_that_comes_through_a_pipe(served, tmp_path, monkeypatch, capsys):
    """As a shell makes one of `<(...)`; it can be read once."""
    reading, writing = os.pipe()
    os.write(writing, served.tokens["owner"].encode())
    os.close(writing)
    try:
        monkeypatch.setenv("SHOCK_TOKEN_FILE", f"/dev/fd/{reading}")
        assert main(["doctor", "--json"]) == 1, "there is no engine"
    finally:
        os.close(reading)
    found = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["token"] == {
        "what": "token",
        "ok": True,
        "detail": f"the token in /dev/fd/{reading} is accepted",
    }


STEPS = (
    ["build", NAME, "--record", "build.json"],
    ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
    ["upload", "save.json", "--record", "upload.json"],
    ["register", "upload.json", "--record", "receipt.json"],
)


@pytest.mark.slow
def test_the_four_steps_where_nobody_may_do_anything_without_a_token(serve, tmp_path, monkeypatch, capsys):
    app = serve(RIGHTS["does nothing"])
    # An administrator sees hidden nodes too.
    admin = ShockClient(os.environ["SHOCK_URL"], token=app.tokens["admin"])
    archive(tmp_path, "wanted")
    (tmp_path / "images.yaml").write_text(f"images: [{{name: '{NAME}', archive: wanted.tar}}]\n")
    for step in STEPS:
        if step[0] in ("upload", "register"):
            before = admin.query({})
            assert len(before) == (step[0] == "register"), "the upload of the step before"
            for token in ("", "nobody's"):
                monkeypatch.setenv("KB_AUTH_TOKEN", token)
                assert main(step) == 1, step
            assert admin.query({}) == before, "a refused try leaves nothing"
        monkeypatch.setenv("KB_AUTH_TOKEN", app.tokens["owner"])
        assert main(step) == 0, capsys.readouterr().err
    (published,) = admin.query({})
    assert (published.attributes or {})["type"] == "dockerimage"
    assert json.loads((tmp_path / "receipt.json").read_text())["node"] == published.id


@pytest.mark.slow
@pytest.mark.parametrize("first", ["no token", "owner"])
def test_an_upload_that_others_may_change_is_registered_by_no_user(served, tmp_path, monkeypatch, capsys, first):
    monkeypatch.chdir(tmp_path)
    archive(tmp_path, "wanted")
    (tmp_path / "images.yaml").write_text(f"images: [{{name: '{NAME}', archive: wanted.tar}}]\n")
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens[first])
    assert [main(step) for step in STEPS[:3]] == [0, 0, 0]
    owner = ShockClient(os.environ["SHOCK_URL"], token=served.tokens["owner"])
    upload = json.loads((tmp_path / "upload.json").read_text())["node"]
    if first == "owner":
        owner._ask("PUT", f"/node/{upload}/acl/public_write")
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    capsys.readouterr()
    assert main(STEPS[3]) == 1
    why = "it is nobody's, as it was uploaded without a token" if first == "no token" else "others may change it, too"
    told = capsys.readouterr().err
    assert f"{NAME}: the upload {upload} is not registered: {why}" in told
    assert "Run `skyport-wf upload` again" in told
    assert [main(step) for step in STEPS[2:]] == [0, 0]
    (node,) = owner.query({"type": "dockerimage"})
    access = owner.read_access(node.id)
    assert (access.owner == "public", access.public.write) == (False, False)


@pytest.mark.slow
def test_without_any_token_the_four_steps_make_an_image_that_is_everyones(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive(tmp_path, "wanted")
    (tmp_path / "images.yaml").write_text(f"images: [{{name: '{NAME}', archive: wanted.tar}}]\n")
    assert [main(step) for step in STEPS] == [0, 0, 0, 0]


@pytest.mark.parametrize("verb", [["build"], ["publish"], ["publish", "--dry-run"], ["status"]], ids=" ".join)
@pytest.mark.parametrize(
    ("everyone", "words"),
    [("reads", "takes nothing from users without a token"), ("does nothing", "Put a token into KB_AUTH_TOKEN")],
)
def test_no_build_begins_whose_image_nobody_could_send(serve, tmp_path, monkeypatch, capsys, everyone, words, verb):
    """There is no engine here: whatever asked it would say that."""
    app = serve(RIGHTS[everyone])
    monkeypatch.setenv("KB_AUTH_TOKEN", "")
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm\nRUN sleep 1000\n")
    (tmp_path / "images.yaml").write_text(f"images: [{{name: '{NAME}', dockerfile: Dockerfile}}]\n")
    arguments = {"build": [NAME, "--record", "build.json"], "publish": [NAME], "status": []}[verb[0]]
    # Where `status` may look, it has looked, and says that something is to be done.
    assert main([*verb, *arguments]) == (3 if (verb[0], everyone) == ("status", "reads") else 1)
    told = capsys.readouterr()
    assert words in told.out + told.err
    assert "engine" not in told.out + told.err
    assert app.changes == []


@pytest.mark.slow
def test_what_nobody_owns_is_not_called_another_users(served, tmp_path, monkeypatch, capsys):
    assert publish(tmp_path, "wanted") == 0
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    nobodys = "it is nobody's, as it was uploaded without a token"
    assert main(["tag", NAME, "lab/tool:2.0"]) == 1
    assert f"cannot be copied: {nobodys}. Else pull the image" in capsys.readouterr().err
    # Everybody may change and delete what is nobody's.
    assert main(["retire", NAME]) == 0
    assert main(["delete", NAME, "--remove"]) == 0
    assert "deleted" in capsys.readouterr().out


@pytest.mark.slow
def test_records_that_spell_the_server_otherwise_are_of_the_same(served, tmp_path, monkeypatch, capsys):
    """As versions before wrote them, which took the URL as it was given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KB_AUTH_TOKEN", served.tokens["owner"])
    url = os.environ["SHOCK_URL"].replace("127.0.0.1", "localhost")
    monkeypatch.setenv("SHOCK_URL", url)
    images = f"images: [{{name: '{NAME}', archive: {archive(tmp_path, 'wanted')}}}]"
    Path("images.yaml").write_text(images)
    for step in (
        ["build", NAME, "--record", "build.json"],
        ["save", "build.json", "--record", "save.json", "--archive", "a.tar.gz"],
        ["upload", "save.json", "--record", "upload.json"],
        ["publish", NAME, "--record", "receipt.json", "--lock", "images.lock.json"],
    ):
        assert main(step) == 0
    for record in ("upload.json", "receipt.json", "images.lock.json"):
        Path(record).write_text(Path(record).read_text().replace(url, url.replace("http://l", "HTTP://L")))
    Path("images.yaml").write_text(f"{images}\nshock: {{url: '{url.upper()}'}}")
    for check in (
        ["verify"],
        ["receipt", NAME, "--locked", "images.lock.json"],
        ["pull", "--receipt", "receipt.json", "--output", "pulled.tar"],
        ["sbom", "receipt.json", "--record", "packages.json"],
        ["register", "upload.json", "--record", "registered.json"],
    ):
        assert main(check) == 0, capsys.readouterr().err
    published = json.loads(Path("registered.json").read_text())
    assert published["shock"] == url
