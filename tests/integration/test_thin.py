"""Thin archives with a real engine: published, fetched with what they are on, refused where their base is not."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.shock.client import ShockClient
from tests.support.commands import CHECKOUT, COMMANDS
from tests.support.engine import config_digest, docker, uses_containerd_store, write_image_context
from tests.support.lab import Lab, ServedShock, make_user
from tests.support.podman_service import PodmanService
from tests.support.project import jobs

EXAMPLE = ("example/fasta-base:12", "example/fasta-gc:1.0", "example/fasta-lengths:1.0")


class ThinLab(Lab):
    """A lab that publishes to a Shock that is served."""

    def __init__(self, folder: Path, store: Path, url: str, token: str, namespace: str) -> None:
        super().__init__(folder, token, SHOCK_URL=url, TMPDIR=str(folder / "tmp"))
        self.store = store
        self.namespace = namespace
        self.shock = ShockClient(url, token=token)
        (folder / "tmp").mkdir()

    def name(self, image: str) -> str:
        return f"{self.namespace}/{image}:1"

    def list_images(self, *images: str, **bases: str | None) -> None:
        """Write an image list: each of `images` with the fields that follow its name, and Dockerfiles.

        No other test's images have layers of these, and the builder's cache keeps none when an image is removed.
        bases: what the images are built on, if not on nothing.
        """
        entries = []
        for image in images:
            name, _, fields = image.partition(" ")
            base = bases.get(name)
            if not (self.folder / name).exists():
                write_image_context(
                    self.folder / name,
                    base=self.name(base) if base else "scratch",
                    data=self.name(name),
                    own_layers=True,
                )
            fields = fields or f"dockerfile: {name}/Dockerfile"
            built = ", builder: classic" if "dockerfile" in fields else ""
            entries.append(f"  - {{name: '{self.name(name)}', {fields}{built}}}\n")
        (self.folder / "images.yaml").write_text(f"images:\n{''.join(entries)}".replace("NS/", f"{self.namespace}/"))

    def publish(self, *names: str) -> dict[str, Any]:
        """Publish and return the receipts, by the short names."""
        published = self.do("publish", *(names or ["--all"]))["published"]
        return {receipt["name"].split("/")[1].removesuffix(":1"): receipt for receipt in published}

    def download(self, node: str) -> bytes:
        with self.shock.download(node) as stream:
            return stream.read()

    def forget(self, *images: str) -> None:
        """Take the images off the engine, and see that none of their layers is left under another name."""
        ids = [docker("image", "inspect", "--format", "{{.Id}}", self.name(image)).strip() for image in images]
        docker("image", "rm", "--force", *dict.fromkeys(ids))

    def runs(self, image: str) -> str:
        return docker("run", "--rm", "--network", "none", self.name(image), "cat", "/data/deep/file")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    store = tmp_path_factory.mktemp("thin") / "store"
    token = make_user(store, "alice")
    with ServedShock(store) as served:
        yield store, served.url, token


@pytest.fixture
def project(tmp_path: Path, namespace: str, server: tuple[Path, str, str]) -> ThinLab:
    return ThinLab(tmp_path, *server, namespace)


@pytest.fixture
def thin(project: ThinLab) -> dict[str, Any]:
    """Publish a base, a thin image built on it, and one built on that; return the receipts."""
    project.list_images(
        "base", "tool dockerfile: tool/Dockerfile, base: NS/base:1", "top dockerfile: top/Dockerfile, base: NS/tool:1",
        tool="base", top="tool",
    )  # fmt: skip
    return project.publish()


def test_only_the_layers_above_the_base_are_published(project: ThinLab, thin: dict[str, Any]) -> None:
    assert thin["base"]["thin_on"] is None
    assert thin["tool"]["thin_on"] == {
        "name": project.name("base"),
        "image_id": thin["base"]["image_id"],
        "layers": [layer["diff_id"] for layer in thin["base"]["layers"]],
    }
    assert thin["tool"]["size"] < 3_000 < 1_000_000 < thin["base"]["size"]
    archive = project.download(thin["tool"]["node"])
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        names = tar.getnames()
        (entry,) = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    own = [layer["diff_id"].removeprefix("sha256:") for layer in thin["tool"]["layers"]]
    assert entry["Layers"] == [f"{digest}.tar" for digest in own]
    assert names == ["manifest.json", entry["Config"], f"{own[-1]}.tar"]
    assert list((project.folder / "tmp").iterdir()) == []


def test_save_writes_what_publish_sends(project: ThinLab, thin: dict[str, Any]) -> None:
    project.run("retire", project.name("top"))
    for command in (
        ["build", project.name("top"), "--record", "build.json"],
        ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
    ):
        assert project.run(*command).code == 0
    digests = json.loads((project.folder / "save.json").read_text())["saved"]["digests"]
    assert digests["archive_sha256"] == thin["top"]["archive_sha256"]
    assert digests["canonical"] is thin["top"]["canonical"] is True


def test_an_engine_loads_it_as_an_awe_worker_does(project: ThinLab, thin: dict[str, Any]) -> None:
    project.forget("top", "tool")
    archive = gzip.decompress(project.download(thin["tool"]["node"]))
    loaded = subprocess.run(["docker", "load", "--quiet"], input=archive, check=False, capture_output=True)
    if uses_containerd_store():
        # As the guide says; should a later Docker take it, `takes_thin_archives` can say so.
        assert b"not found" in loaded.stderr
    else:
        assert loaded.returncode == 0, loaded.stderr
        assert config_digest(project.name("tool")) == thin["tool"]["image_id"]
        assert project.runs("tool") == project.name("tool")
        project.forget("tool")

    project.forget("base")
    done = subprocess.run(["docker", "load", "--quiet"], input=archive, check=False, capture_output=True)
    assert done.returncode != 0, "without its base"


def test_pull_fetches_the_chain(project: ThinLab, thin: dict[str, Any]) -> None:
    project.forget("top", "tool", "base")
    pulled = project.do("pull", project.name("top"))
    assert pulled["bases"] == [project.name("base"), project.name("tool")]
    assert pulled["downloaded"] == sum(receipt["size"] for receipt in thin.values())
    # Where no thin archive can be loaded, the image comes whole, and its bases are part of it.
    there = ["top"] if uses_containerd_store() else [*thin]
    assert {image: project.runs(image) for image in there} == {image: project.name(image) for image in there}
    assert project.do("pull", project.name("top"))["downloaded"] == 0

    project.forget(*({"top", "tool"} & {*there}))
    pulled = project.do("pull", project.name("top"))
    if uses_containerd_store():
        assert pulled["downloaded"] == sum(receipt["size"] for receipt in thin.values())
        return
    assert (pulled["bases"], pulled["downloaded"]) == (
        [project.name("tool")],
        thin["tool"]["size"] + thin["top"]["size"],
    )


def test_a_base_that_arrives_damaged_is_not_loaded(project: ThinLab, thin: dict[str, Any]) -> None:
    project.forget("top", "tool", "base")
    content = project.download(thin["base"]["node"])
    (stored,) = (path for path in project.store.rglob("files/*/*") if path.read_bytes() == content)
    stored.chmod(0o600)
    with stored.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(100))
    done = project.run("pull", project.name("tool"))
    assert done.code == 1
    assert f"the file of {project.name('base')} is damaged: it has MD5" in done.log
    assert docker("image", "ls", "--quiet", project.name("base")) == ""


def test_show_tells_of_the_whole_image(project: ThinLab, thin: dict[str, Any]) -> None:
    whole = project.do("show", project.name("top"), "--engine")
    report = project.do("show", project.name("top"))
    owners = [layer.pop("from_base") for layer in report["layers"]]
    for layer in whole["layers"]:
        assert layer.pop("from_base") == ""
    below = len(thin["base"]["layers"])
    assert owners == [project.name("base")] * below + [project.name("tool"), ""]
    # That is for the node to say.
    assert (report.pop("base"), whole.pop("base")) == (project.name("tool"), "")
    assert report == whole
    # The layers that its archive lacks were there when its packages were listed.
    assert project.do("find", project.name("top"), "--package", "*")["unlisted"] == []
    text = project.run("show", project.name("top")).out
    assert (
        f"\nthin: layers 1 to {below} are in {project.name('base')}, layer {below + 1} is in {project.name('tool')}\n"
        in text
    )

    (project.folder / "thin.tar.gz").write_bytes(project.download(thin["top"]["node"]))
    done = project.run("show", "--archive", "thin.tar.gz")
    assert done.code == 1
    assert (
        f"thin.tar.gz is incomplete: it lacks {below + 1} of its {below + 2} layers, as a thin archive does" in done.log
    )


def test_podman_gets_it_whole(project: ThinLab, thin: dict[str, Any]) -> None:
    with PodmanService() as podman:
        pulled = project.do("pull", project.name("top"), DOCKER_HOST=podman.address)
        assert pulled["bases"] == [project.name("base"), project.name("tool")]
        assert podman.inspect(project.name("top")) == thin["top"]["image_id"]
        assert podman.podman("run", "--rm", project.name("top"), "cat", "/data/deep/file") == project.name("top")


def test_podman_itself_refuses_a_thin_archive(project: ThinLab, thin: dict[str, Any]) -> None:
    """As the guide says; should a later podman take it, `takes_thin_archives` can say so."""
    (project.folder / "thin.tar").write_bytes(gzip.decompress(project.download(thin["tool"]["node"])))
    with PodmanService() as podman:
        project.do("pull", project.name("base"), DOCKER_HOST=podman.address)
        with pytest.raises(AssertionError, match="Some layer tarfiles are missing in the tarball"):
            podman.podman("load", "--input", str(project.folder / "thin.tar"))


def test_an_image_that_is_not_built_on_its_base(project: ThinLab, thin: dict[str, Any]) -> None:
    project.list_images("other dockerfile: other/Dockerfile, base: NS/tool:1")
    done = project.run("publish", "--all")
    assert done.code == 1
    assert (
        f"{project.name('other')} cannot be a thin image built on {project.name('tool')}, because it is not built on "
        "it: layer" in done.log
    )
    assert project.shock.query({"name": project.name("other")}) == []


def test_a_base_that_is_not_published(project: ThinLab) -> None:
    project.list_images("alone dockerfile: alone/Dockerfile, base: NS/nobody:1")
    done = project.run("publish", "--all")
    assert done.code == 1
    assert (
        f"is a thin image built on {project.name('nobody')}, which {project.shock.name} does not have, so nobody could"
        in done.log
    )
    assert "making" not in done.log, "nothing is built for nothing"


def test_a_base_of_the_list_that_was_not_published(project: ThinLab) -> None:
    project.list_images("base", "tool dockerfile: tool/Dockerfile, base: NS/base:1", tool="base")
    assert project.run("build", project.name("base"), "--record", "base.json").code == 0
    done = project.run("publish", project.name("tool"))
    assert done.code == 1
    assert (
        f"is a thin image built on {project.name('base')}, which {project.shock.name} does not have, so nobody could "
        "load it" in done.log
    )
    assert project.shock.query({"name": project.name("tool")}) == [], "nothing is sent"


def test_a_base_that_is_replaced_before_it_is_registered(project: ThinLab) -> None:
    project.list_images("base", "tool dockerfile: tool/Dockerfile, base: NS/base:1", tool="base")
    project.publish(project.name("base"))
    for command in (
        ["build", project.name("tool"), "--record", "build.json"],
        ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
        ["upload", "save.json", "--record", "upload.json"],
    ):
        assert project.run(*command).code == 0
    (project.folder / "base/data/deep/file").write_text("another base")
    project.list_images("base dockerfile: base/Dockerfile, replace: true")
    project.publish()
    done = project.run("register", "upload.json", "--record", "receipt.json")
    assert done.code == 1
    assert f"{project.name('tool')} is a thin image built on {project.name('base')} with image sha256:" in done.log
    assert f"{project.name('base')} is image sha256:" in done.log
    assert project.run("resolve", project.name("tool")).code == 1


def test_a_base_of_another_tool(project: ThinLab) -> None:
    """What docker2shock.pl leaves tells nothing of layers; the engine does."""
    project.list_images("base")
    published = project.publish()["base"]
    node = project.shock.find(published["node"])
    assert node is not None
    attributes = {key: value for key, value in (node.attributes or {}).items() if key != "skyport_wf"}
    project.shock.replace_attributes(node.id, attributes)
    project.list_images("mine dockerfile: mine/Dockerfile, base: NS/base:1", mine="base")
    project.forget("base")
    receipt = project.publish()["mine"]
    assert receipt["thin_on"]["image_id"] == published["image_id"]
    assert receipt["size"] < 3_000
    project.forget("mine", "base")
    assert project.do("pull", project.name("mine"))["bases"] == [project.name("base")]
    assert project.runs("mine") == project.name("mine")


def test_images_and_snapshots_can_be_thin(project: ThinLab) -> None:
    (project.folder / "script.sh").write_text("echo from a script >/data/deep/file\n")
    project.list_images(
        "base", "given image: NS/source:1, base: NS/base:1",
        "made snapshot: {base: NS/base:1, script: script.sh}, base: NS/base:1",
    )  # fmt: skip
    project.publish(project.name("base"))
    write_image_context(project.folder / "source", base=project.name("base"), data="source")
    docker("build", "--quiet", "--network=host", "--tag", project.name("source"), str(project.folder / "source"))
    published = project.publish(project.name("given"), project.name("made"))
    assert all(receipt["size"] < 3_000 for receipt in published.values())
    assert project.publish(project.name("given"))["given"]["node"] == published["given"]["node"]
    assert project.runs("made") == "from a script\n"


def test_whole_and_thin_are_told_apart(project: ThinLab, thin: dict[str, Any]) -> None:
    project.list_images("base", "tool", tool="base")
    done = project.run("publish", project.name("tool"))
    assert done.code == 1
    assert f"thin, built on {project.name('base')}, registered" in done.log
    project.list_images("base", "tool dockerfile: tool/Dockerfile, replace: true", tool="base")
    whole = project.publish(project.name("tool"))["tool"]
    assert (whole["image_id"], whole["thin_on"]) == (thin["tool"]["image_id"], None)
    assert whole["size"] > 1_000_000


def test_retiring_a_base(project: ThinLab, thin: dict[str, Any]) -> None:
    done = project.run("retire", project.name("base"))
    assert done.code == 1
    assert (
        f"{project.name('tool')} is a thin image built on {project.name('base')}, and would lack its layers" in done.log
    )
    assert project.run("verify").code == 0
    assert project.run("retire", "--force", project.name("base")).code == 0
    done = project.run("verify")
    assert done.code == 3
    assert (
        f"it is a thin image built on {project.name('base')} with image {thin['base']['image_id']}, which is not "
        "published" in done.out
    )
    assert project.run("status").code == 3


@pytest.fixture
def example(tmp_path: Path, engine: str) -> Iterator[Path]:
    """Return a copy of the example, as a user makes one."""
    assert docker("image", "ls", "--quiet", "debian:bookworm"), "the base image is missing; `make test` makes it"
    yield shutil.copytree(CHECKOUT / "examples/thin", tmp_path / "thin")
    docker("image", "rm", "--force", *EXAMPLE)


def test_the_example(example: Path) -> None:
    environment = {**os.environ, "SKYPORT_DATA": str(example / "store"), "SHOCK_URL": ""}
    environment["PATH"] = f"{COMMANDS}:{environment['PATH']}"

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=example, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    ran = call("snakemake", "publish_all", "--cores", "2", "--nocolor").stderr
    assert jobs(ran) >= {"publish_all", "lock_images"}
    base, *thin = (
        json.loads((example / f"results/skyport/{key}/receipt.json").read_text())
        for key in ("example_fasta-base_12", "example_fasta-gc_1.0", "example_fasta-lengths_1.0")
    )
    assert all(receipt["registered"] >= base["registered"] for receipt in thin)
    assert all(receipt["size"] < 2_000 for receipt in thin)
    assert base["size"] > 1_000_000
    assert jobs(call("snakemake", "publish_all", "--cores", "2", "--nocolor").stderr) == set()

    docker("image", "rm", "--force", *EXAMPLE)
    call("skyport-wf", "pull", "example/fasta-gc:1.0")
    call("skyport-wf", "pull", "example/fasta-lengths:1.0")
    for image, said in {
        "fasta-gc:1.0 gc": "read1\t75\nread2\t25\n",
        "fasta-lengths:1.0 lengths": "read1\t8\nread2\t8\n",
    }.items():
        command = ["docker", "run", "--rm", "--interactive", "--network", "none", *f"example/{image}".split()]
        with (example / "reads.fa").open() as reads:
            assert subprocess.run(command, check=True, capture_output=True, text=True, stdin=reads).stdout == said
