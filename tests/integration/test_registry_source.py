"""Images that other registries have, published without an engine: from Debian's docker-registry and from our own."""

import base64
import gzip
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import open_archive
from skyport_wf.image.distribution.manifests import Flavour
from tests.support.commands import environment
from tests.support.docker_archives import Image, file_member, layer_tar, tar_of
from tests.support.image_registry import INDEX, PASSWORD, USER, DockerRegistry, docker_registry
from tests.support.lab import Lab, ServedShock, make_user
from tests.support.registry import OCI_MANIFEST

pytestmark = pytest.mark.slow

BASE = layer_tar({"bin/bash": b"bash"})
TOOL = layer_tar({"usr/bin/tool": bytes(300_000)})
IMAGE = Image((BASE, TOOL, BASE))
NAME = "my-lab/tool:1.0"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "files") as served:
        yield served


class RegistryLab(Lab):
    """Someone without an engine, with an embedded store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            DOCKER_HOST="unix:///nonexistent/docker.sock",
            DOCKER_CONFIG=str(folder / "docker"),
            SKYPORT_CACHE=str(folder / "cache"),
            SKYPORT_RETRY_SECONDS="0",
        )

    def list_image(self, address: str, fields: str = "") -> None:
        self.write_list(f"name: '{NAME}', registry: '{address}', {fields}")

    def log_in(self, host: str, password: str) -> None:
        (self.folder / "docker").mkdir(exist_ok=True)
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (self.folder / "docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    def published_id(self) -> str:
        """Return the id of the image in the file that an AWE worker gets."""
        self.do("pull", NAME, "--output", "pulled.tar.gz")
        with open_archive(self.folder / "pulled.tar.gz") as stream:
            return inspect_archive(stream).image_id

    def state(self) -> Any:
        (image,) = self.do_any("status")["images"]
        return image

    def do_any(self, *arguments: str) -> Any:
        """Return the result of a command that may find a difference."""
        return json.loads(self.run(*arguments, "--json").out)


@pytest.fixture
def lab(tmp_path: Path) -> RegistryLab:
    return RegistryLab(tmp_path / "lab")


@pytest.mark.parametrize("flavour", Flavour)
def test_an_image_is_published_as_the_registry_has_it(
    registry: DockerRegistry, lab: RegistryLab, flavour: Flavour
) -> None:
    digest = registry.push(f"lab/{flavour.name.lower()}:1", IMAGE, flavour=flavour)
    lab.list_image(f"{registry.host}/lab/{flavour.name.lower()}:1")
    assert lab.state()["state"] == "not published"
    assert lab.do_any("publish", "--all", "--dry-run")
    (receipt,) = lab.do("publish", "--all")["published"]
    assert receipt["source"]["registry"] == {
        "name": f"{registry.host}/lab/{flavour.name.lower()}:1",
        "manifest_digest": digest,
        "platform": "linux/amd64",
    }
    assert receipt["image_id"] == receipt["source"]["digest"] == lab.published_id() == IMAGE.image_id
    assert receipt["canonical"] is True
    # Pulled by the same digest from either registry.
    assert receipt["manifest_digest"] == digest
    assert lab.state()["state"] == "published"
    assert lab.do("publish", "--all")["published"] == [receipt]
    assert lab.do("show", NAME)["image_id"] == IMAGE.image_id


def test_in_four_steps_the_same_is_published(registry: DockerRegistry, lab: RegistryLab) -> None:
    registry.push("lab/steps:1", IMAGE)
    lab.list_image(f"{registry.host}/lab/steps:1")
    (receipt,) = lab.do("publish", "--all")["published"]
    lab.do("retire", NAME)
    lab.do("build", NAME, "--record", "build.json")
    # The steps go on with what the first one has found.
    registry.push("lab/steps:1", Image((TOOL,)))
    lab.do("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")
    lab.do("upload", "save.json", "--record", "upload.json")
    lab.do("register", "upload.json", "--record", "receipt.json")
    again = lab.receipt()
    same = ("image_id", "md5", "size", "archive_sha256", "stored_layers", "manifest_digest", "source")
    assert {key: again[key] for key in same} == {key: receipt[key] for key in same}


def test_a_tag_that_was_moved_is_seen(registry: DockerRegistry, lab: RegistryLab) -> None:
    registry.push("lab/moved:1", IMAGE)
    lab.list_image(f"{registry.host}/lab/moved:1")
    before = lab.do("plan")["images"]
    lab.do("publish", "--all")
    registry.push("lab/moved:1", Image((TOOL,)))
    assert lab.do("plan")["images"] != before
    assert lab.state()["state"] == "name taken"
    assert "is published already, as another image" in lab.run("publish", "--all").log
    lab.list_image(f"{registry.host}/lab/moved:1", "replace: true")
    lab.do("publish", "--all")
    assert lab.published_id() == Image((TOOL,)).image_id


def test_a_registry_that_is_gone(lab: RegistryLab, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "going") as registry:
        digest = registry.push("lab/tool:1", IMAGE)
        lab.list_image(f"{registry.host}/lab/tool:1")
        plan = lab.do("plan")
        pinned = f"{registry.host}/lab/tool@{digest}"
    assert lab.do("plan") == plan, "the last answer will do to plan"
    assert lab.state()["state"] == "unknown"
    done = lab.run("publish", "--all")
    assert (done.code, "cannot be reached" in done.log) == (75, True)
    lab.list_image(pinned)
    assert "cannot be reached" in lab.run("plan").log, "this was never asked for"


def test_an_image_that_is_gone_keeps_no_other_from_being_published(registry: DockerRegistry, lab: RegistryLab) -> None:
    registry.push("lab/good:1", IMAGE)
    lab.write_list(
        f"name: 'lab/gone:1', registry: '{registry.host}/lab/gone:1'",
        f"name: '{NAME}', registry: '{registry.host}/lab/good:1'",
    )
    gone = f"image lab/gone:1: there is no {registry.host}/lab/gone:1, or not for this login"
    states = {image["name"]: image for image in lab.do_any("status")["images"]}
    assert (states["lab/gone:1"]["state"], states[NAME]["state"]) == ("unknown", "not published")
    assert states["lab/gone:1"]["next"].startswith(f"fail: {gone}")
    rehearsed = lab.do_any("publish", "--all", "--dry-run")
    assert [(image["name"], image["would_fail"]) for image in rehearsed["dry_run"]] == [
        (NAME, False),
        ("lab/gone:1", True),
    ]
    done = lab.run("publish", "--all", "--keep-going", "--json")
    told = json.loads(done.out)
    assert (done.code, [image["name"] for image in told["published"]]) == (1, [NAME])
    assert told["failed"]["lab/gone:1"].startswith(gone)
    assert lab.published_id() == IMAGE.image_id


def test_of_several_platforms_the_one_that_is_asked_for(registry: DockerRegistry, lab: RegistryLab) -> None:
    arm = Image((TOOL,), architecture="arm64")
    there = {"amd64": registry.push("lab/many:x", IMAGE), "arm64": registry.push("lab/many:y", arm)}
    manifests = [
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1000, "platform": {"os": "linux", "architecture": name}}
        for name, digest in there.items()
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    registry.put_manifest("lab/many", "1", index, INDEX)
    lab.list_image(f"{registry.host}/lab/many:1")
    assert lab.do("publish", "--all", "--dry-run")
    lab.do("publish", "--all")
    assert lab.published_id() == IMAGE.image_id
    lab.list_image(f"{registry.host}/lab/many:1", "platform: linux/arm64, replace: true")
    lab.do("publish", "--all")
    assert lab.published_id() == arm.image_id
    # Without an index nothing can be chosen.
    lab.list_image(f"{registry.host}/lab/many:y")
    assert "is an image for linux/arm64, and this machine is linux/amd64" in lab.run("publish", "--all").log
    assert "is an image for linux/arm64" in lab.state()["next"]


def test_images_that_are_compressed_otherwise_keep_their_manifests(registry: DockerRegistry, lab: RegistryLab) -> None:
    """One image id at three addresses: a file on the Shock will do for another name only with the very same layers."""
    digests = {
        "one": registry.push("lab/one:1", IMAGE, compress=lambda layer: gzip.compress(layer, 1, mtime=0)),
        "nine": registry.push("lab/nine:1", IMAGE, compress=lambda layer: gzip.compress(layer, 9, mtime=0)),
        "docker": registry.push(
            "lab/docker:1", IMAGE, compress=lambda layer: gzip.compress(layer, 9, mtime=0), flavour=Flavour.DOCKER
        ),
    }
    lab.write_list(*(f"name: 'm/{name}:1', registry: '{registry.host}/lab/{name}:1'" for name in digests))
    receipts = {receipt["name"]: receipt for receipt in lab.do("publish", "--all")["published"]}
    assert {name: receipts[f"m/{name}:1"]["manifest_digest"] for name in digests} == digests
    # In four steps, which know the archive from a file.
    for name, digest in digests.items():
        lab.do("retire", f"m/{name}:1")
        lab.do("build", f"m/{name}:1", "--record", "build.json")
        lab.do("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")
        lab.do("upload", "save.json", "--record", "upload.json")
        lab.do("register", "upload.json", "--record", "receipt.json")
        assert lab.receipt()["manifest_digest"] == digest


def test_zstd_is_compressed_once(registry: DockerRegistry, lab: RegistryLab) -> None:
    registry.push("lab/zstd:1", IMAGE, compress=zstd.compress, layer_type="application/vnd.oci.image.layer.v1.tar+zstd")
    lab.list_image(f"{registry.host}/lab/zstd:1")
    (receipt,) = lab.do("publish", "--all")["published"]
    assert lab.published_id() == IMAGE.image_id
    content = (lab.folder / "pulled.tar.gz").read_bytes()
    stored = [content[at["offset"] : at["offset"] + at["size"]] for at in receipt["stored_layers"]]
    assert [*map(gzip.decompress, stored)] == [BASE, TOOL]


def test_a_login_of_dockers_config(lab: RegistryLab, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "private", login=True) as registry:
        registry.push("lab/tool:1", IMAGE)
        lab.list_image(f"{registry.host}/lab/tool:1")
        assert f"log in: `docker login {registry.host}`" in lab.run("publish", "--all").log
        lab.log_in(registry.host, "wrong")
        assert f"log in: `docker login {registry.host}`" in lab.run("publish", "--all").log
        lab.log_in(registry.host, PASSWORD)
        done = lab.run("publish", "--all", "--verbose", "--json")
        assert (done.code, PASSWORD in done.out + done.log) == (0, False)
    assert lab.published_id() == IMAGE.image_id


def test_from_a_registry_of_our_own(registry: DockerRegistry, lab: RegistryLab, tmp_path: Path) -> None:
    """A private image there, published here: the login is the Shock token."""
    token = make_user(tmp_path / "store", "alice")
    registry.push("lab/ours:1", IMAGE)
    with ServedShock(tmp_path / "store") as server:
        there = Lab(tmp_path / "there", token, SHOCK_URL=server.url, SKYPORT_CACHE=str(tmp_path / "cache"))
        there.write_list(f"name: 'lab/tool:1', registry: '{registry.host}/lab/ours:1', public: false")
        (receipt,) = there.do("publish", "--all")["published"]
        host = server.url.removeprefix("http://")
        lab.list_image(f"{host}/lab/tool:1")
        assert "not for this login" in lab.run("publish", "--all").log
        lab.log_in(host, token)
        (again,) = lab.do("publish", "--all")["published"]
        # Which makes a mirror.
        assert (again["manifest_digest"], again["image_id"]) == (receipt["manifest_digest"], IMAGE.image_id)
        assert receipt["manifest_digest"] == receipt["source"]["registry"]["manifest_digest"]
    assert lab.published_id() == IMAGE.image_id


MEASURED = """
import re, sys, tempfile
from pathlib import Path
from skyport_wf.cli.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


def test_publishing_takes_little_memory_and_no_second_copy(
    registry: DockerRegistry, lab: RegistryLab, tmp_path: Path
) -> None:
    """The image is larger than both."""
    noise = [random.Random(seed).randbytes(1 << 20) for seed in range(30)]
    layers = tuple(
        tar_of([file_member(f"{seed}/{number}", noise[(seed + number) % 30]) for number in range(60)])
        for seed in range(2)
    )
    image = Image(layers)
    registry.push("lab/large:1", image)
    lab.list_image(f"{registry.host}/lab/large:1")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    variables = environment(**lab.variables, TMPDIR=str(scratch))
    command = [sys.executable, "-c", MEASURED, "publish", "--all", "--json", "--no-progress"]
    largest, running = 0, threading.Event()
    with subprocess.Popen(
        command, cwd=lab.folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:

        def watch() -> None:
            nonlocal largest
            # Files without a name count only as open ones.
            while not running.wait(0.01):
                largest = max(largest, open_bytes(process.pid, scratch))

        watching = threading.Thread(target=watch)
        watching.start()
        out, log = process.communicate()
        running.set()
        watching.join()
    assert process.returncode == 0, log
    (receipt,) = json.loads(out)["published"]
    assert receipt["image_id"] == image.image_id
    assert receipt["size"] > 100 << 20
    assert largest < 1 << 20, f"{largest} bytes in {scratch}"
    assert int(log.split()[-1]) < 64 << 10, f"{log.split()[-1]} kB of memory"


def open_bytes(pid: int, folder: Path) -> int:
    """Return the bytes of a process's open files below a folder, of those without a name, too."""
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            if str(descriptor.readlink()).startswith(str(folder)):
                found += descriptor.stat().st_size
        except OSError:
            continue
    return found
