"""What a user can get wrong: one clear message, the right exit code, nothing left on disk or on Shock."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.store.opening import open_store
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, file_member, layer_tar, legacy, tar_of
from tests.support.lab import Lab
from tests.support.own_server import running_server

NAME = "lab/tool:1"
ARCHIVE = tar_of(legacy(Image((layer_tar({"file": os.urandom(200_000)}),))))
NO_ENGINE = "unix:///nonexistent/docker.sock"


def two_images() -> bytes:
    """Return what `docker save A B` writes."""
    members = [part for author in "AB" for part in legacy(Image((layer_tar({author: b"1"}),), author=author))]
    entries = [entry for info, text in members if info.name == "manifest.json" for entry in json.loads(text)]
    files = [part for part in members if part[0].name not in ("manifest.json", "repositories")]
    return tar_of([*files, file_member("manifest.json", json.dumps(entries).encode())])


class BadLab(Lab):
    """A folder with an image list that is wrong, and a store of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SKYPORT_RETRY_SECONDS="0.5")

    def list_image(self, source: str, *, name: str = NAME, shock: str = "") -> None:
        (self.folder / "images.yaml").write_text(f"{shock}images:\n  - name: {name}\n    {source}\n")

    def fails(self, code: int, message: str, *arguments: str, **variables: str) -> None:
        """Run a command that has to fail so, and leave nothing but what was there."""
        before = self.files()
        done = self.run(*arguments, **variables)
        assert (done.code, message in done.log) == (code, True), done.log
        assert done.out == ""
        assert self.files() == before

    def files(self) -> set[Path]:
        """Return what is in the folder, without the store's own books."""
        return {path for path in self.folder.rglob("*") if not path.is_relative_to(self.folder / "store")}

    def nodes(self) -> list[object]:
        return list(self.do("ls")["images"])


@pytest.fixture
def lab(tmp_path: Path) -> BadLab:
    return BadLab(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just text\n", "is not a docker archive"),
        (b"", "is empty"),
        (gzip.compress(b"just text\n" * 1000), "not a docker archive"),
        (b"\x04\x22\x4d\x18" + ARCHIVE, "is in lz4 format, which no engine loads"),
        (ARCHIVE[: len(ARCHIVE) // 2], "breaks off"),
        (gzip.compress(ARCHIVE)[:-2000], "breaks off"),
        (two_images(), "2 images"),
        (tar_of([file_member("readme", b"hello")]), "manifest.json"),
    ],
    ids=["text", "empty", "gzipped text", "lz4", "truncated tar", "truncated gzip", "two images", "another tar"],
)
@pytest.mark.parametrize("command", [["publish", "--all"], ["build", NAME, "--record", "build.json"]])
def test_an_archive_that_is_no_image(lab: BadLab, content: bytes, message: str, command: list[str]) -> None:
    (lab.folder / "image.tar").write_bytes(content)
    lab.list_image("archive: image.tar")
    lab.fails(1, message, *command)
    assert lab.nodes() == []


def test_an_archive_that_was_cut_between_build_and_save(lab: BadLab) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    assert lab.run("build", NAME, "--record", "build.json").code == 0
    (lab.folder / "image.tar").write_bytes(ARCHIVE[:100_000])
    lab.fails(1, "breaks off", "save", "build.json", "--archive", "out.tar.gz", "--record", "save.json")


def test_an_archive_that_was_cut_between_save_and_upload(lab: BadLab) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    lab.run("build", NAME, "--record", "build.json")
    assert lab.run("save", "build.json", "--archive", "out.tar.gz", "--record", "save.json").code == 0
    os.truncate(lab.folder / "out.tar.gz", 5000)
    lab.fails(1, "has 5000 bytes, its record says", "upload", "save.json", "--record", "upload.json")
    (lab.folder / "out.tar.gz").unlink()
    lab.fails(2, "cannot read the archive", "upload", "save.json", "--record", "upload.json")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dockerfile: missing/Dockerfile", "there is no Dockerfile"),
        ("archive: missing.tar", "there is no archive"),
        ("dockerfile: images.yaml\n    context: missing", "there is no folder"),
        ("image: 3", "line 3, field image: expected text, got a whole number"),
        ("dockerfle: x", "did you mean `dockerfile`?"),
        ("tarball: x", "line 3, field tarball: unknown"),
        ("description: from nowhere", "says nothing of where it comes from"),
    ],
)
def test_a_wrong_image_list(lab: BadLab, source: str, message: str) -> None:
    lab.list_image(source)
    lab.fails(2, message, "publish", "--all")
    lab.fails(2, message, "status")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("localhost:5000/x:1", "more than one colon"),
        ("lab/x", "the tag is missing"),
        ("lab/x:latest", "`latest` cannot be published"),
        ("Lab/x:1", "upper case"),
        ("lab/x@sha256:0", "digest"),
    ],
)
def test_a_name_that_awe_cannot_use(lab: BadLab, name: str, message: str) -> None:
    lab.list_image("image: x", name=f'"{name}"')
    lab.fails(2, message, "publish", "--all")


@pytest.mark.parametrize("address", [NO_ENGINE, "tcp://127.0.0.1:9"])
def test_an_engine_that_does_not_answer(lab: BadLab, address: str) -> None:
    lab.list_image("image: some:image")
    lab.fails(75, f"no Docker engine answers at {address}", "publish", "--all", DOCKER_HOST=address)


def test_an_address_that_is_no_engines(lab: BadLab) -> None:
    lab.list_image("image: some:image")
    lab.fails(2, "is not an engine's address", "publish", "--all", DOCKER_HOST="/var/run/docker.sock")


def test_a_shock_that_does_not_answer(lab: BadLab) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    for command in (["publish", "--all"], ["build", NAME, "--record", "build.json"], ["status"], ["resolve", NAME]):
        lab.fails(75, "Shock at http://127.0.0.1:9 cannot be reached", *command, SHOCK_URL="http://127.0.0.1:9")


def test_a_url_that_is_no_shocks(lab: BadLab) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    lab.fails(2, "SHOCK_URL", "publish", "--all", SHOCK_URL="127.0.0.1:7445")
    lab.list_image("archive: image.tar", shock="shock:\n  url: ftp://example.org\n")
    lab.fails(2, "images.yaml, line 2, field url", "publish", "--all")


@pytest.fixture
def served(lab: BadLab) -> Iterator[str]:
    """Serve an empty store, and return its URL."""
    with open_store(lab.folder / "store") as store, running_server(ShockApp(store)) as server:
        yield server.url


def test_a_wrong_token_and_none(lab: BadLab, served: str) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    wrong = {"SHOCK_URL": served, "KB_AUTH_TOKEN": "not-a-token-of-anyone"}
    lab.fails(1, "The token in KB_AUTH_TOKEN is not one that may do this", "publish", "--all", **wrong)
    lab.fails(1, "The token in KB_AUTH_TOKEN is not", "build", NAME, "--record", "build.json", **wrong)
    assert "not-a-token-of-anyone" not in lab.run("publish", "--all", "--verbose", **wrong).log
    lab.fails(1, "Put a token into KB_AUTH_TOKEN", "publish", "--all", SHOCK_URL=served)
    assert lab.nodes() == []


def test_a_server_that_is_not_shock(lab: BadLab) -> None:
    import http.server
    import threading

    lab.list_image("archive: image.tar")
    (lab.folder / "image.tar").write_bytes(ARCHIVE)

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            lab.fails(1, "something else than Shock does", "publish", "--all", SHOCK_URL=url)
        finally:
            server.shutdown()


def test_records_of_the_wrong_step(lab: BadLab) -> None:
    (lab.folder / "image.tar").write_bytes(ARCHIVE)
    lab.list_image("archive: image.tar")
    lab.run("build", NAME, "--record", "build.json")
    lab.fails(1, "build.json is not a `skyport-wf save 2` record", "upload", "build.json", "--record", "upload.json")
    lab.fails(2, "there is no missing.json", "upload", "missing.json", "--record", "upload.json")
    (lab.folder / "broken.json").write_text("{")
    lab.fails(1, "broken.json is not a", "register", "broken.json", "--record", "receipt.json")
