"""Records and archives that come from a pipe, or are to go into one."""

import io
import json
import os
import select
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from skyport_wf.store.opening import open_store
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server
from tests.support.timing import PATIENCE

LIST = "shock: {parts_above: 0, part_size: 1}\nimages: [{name: 'lab/tool:1', archive: tool.tar}]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose image is saved, and large enough to go up in parts."""
    image = Image((layer_tar({"file": os.urandom(1_500_000)}),))
    (tmp_path / "tool.tar").write_bytes(canonical(image, "lab/tool:1"))
    (tmp_path / "images.yaml").write_text(LIST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SHOCK_URL", raising=False)
    run("build", "lab/tool:1", "--record", "build.json")
    run("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")
    return tmp_path


def run(*arguments: str, code: int = 0, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command whose stdin and stdout are pipes, and which has to end so."""
    command = [sys.executable, "-m", "skyport_wf", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    return done


def test_records_go_through_pipes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No file can be made in this folder, not even by root: nothing is to lie beside such a record.
    to_pipe = "/proc/self/fd/1"
    with open_store(project / "served") as store:
        app = ShockApp(store, anonymous=frozenset({"read", "write", "delete"}))
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            save = (project / "save.json").read_text()
            refused = run("upload", "-", "--record", "-", code=2, given=save)
            assert refused.stderr == (
                "skyport-wf: /dev/stdin: a record names its archive as seen from its own folder. Give --archive, too.\n"
            )
            upload = run("upload", "-", "--archive", "image.tar.gz", "--record", to_pipe, given=save).stdout
            receipt = run("register", "/dev/stdin", "--record", "-", given=upload).stdout
            assert json.loads(receipt)["name"] == "lab/tool:1"
            run("lock", "-", "--lock", "l.json", "--images", "images.yaml", given=receipt)
            lock = (project / "l.json").read_text()
            assert "lab/tool:1" in run("verify", "--lock", "-", given=lock).stdout
            assert json.loads(run("sbom", "-", "--record", "-", given=receipt).stdout)["bomFormat"] == "CycloneDX"
            empty = run("register", "-", "--record", "-", code=1)
            assert "/dev/stdin is not a `skyport-wf upload 2` record: it is empty." in empty.stderr


@pytest.mark.parametrize("archive", ["-", "/dev/stdout", "/dev/null", "pipe"])
def test_a_new_archive_goes_into_a_file(project: Path, archive: str) -> None:
    os.mkfifo(project / "pipe")
    refused = run("save", "build.json", "--archive", archive, "--record", "other.json", code=2)
    assert "is a device or pipe, and the record has to name a file. Name one for the archive." in refused.stderr
    assert (refused.stdout, (project / "other.json").exists()) == ("", False)


@pytest.mark.parametrize("name", ["pipe", "pipe.tar"])
def test_an_image_is_pulled_into_a_pipe(project: Path, name: str) -> None:
    run("publish", "--all")
    os.mkfifo(project / name)
    pulling = ["pull", "lab/tool:1", "--output", name]
    assert "it is a pipe or socket that nobody reads from" in run(*pulling, code=1).stderr
    with (
        os.fdopen(os.open(project / name, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader,
        subprocess.Popen([sys.executable, "-m", "skyport_wf", *pulling], stdout=subprocess.DEVNULL) as puller,
    ):
        assert select.select([reader], [], [], PATIENCE)[0]
        os.set_blocking(reader.fileno(), True)
        content = reader.read()
    assert puller.returncode == 0
    assert content.startswith(b"\x1f\x8b") == (name == "pipe")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "manifest.json" in archive.getnames()
