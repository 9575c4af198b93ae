"""`snakemake publish_all` with a real engine: what runs, what does not, and what is published then."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from skyport_wf.publication.attributes import PACKAGES_KEY
from tests.support.engine import config_digest, docker, own_namespace, write_image_context
from tests.support.lab import opened
from tests.support.project import Project

STEPS = ("build_image", "save_image", "upload_image", "register_image", "list_packages")
# They begin with what is published once.
pytestmark = pytest.mark.xdist_group("Snakemake")

INCLUDE = 'import skyport_wf\n\ninclude: skyport_wf.snakefile("publish")\n'


def steps_of(*images: str) -> set[str]:
    return {f"{step} {image}" for step in STEPS for image in images} | {"lock_images", "publish_all"}


@pytest.fixture
def project(tmp_path: Path, namespace: str) -> Project:
    made = Project(tmp_path, namespace)
    (tmp_path / "Snakefile").write_text(INCLUDE)
    return made


class Publication(NamedTuple):
    """A project whose images Snakemake published."""

    project: Project
    ran: set[str]


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Publication]:
    with own_namespace() as namespace:
        made = Project(tmp_path_factory.mktemp("published"), namespace)
        (made.folder / "Snakefile").write_text(INCLUDE)
        yield Publication(made, made.snakemake("publish_all"))


@pytest.fixture
def published(publication: Publication, tmp_path: Path) -> Project:
    """Return a copy of the project, to begin with."""
    return publication.project.copied(tmp_path / "project")


def test_publishes_all_images_once(publication: Publication, published: Project) -> None:
    assert publication.ran == steps_of("tool", "derived", "other")
    assert published.status() == {"tool": "published", "derived": "published", "other": "published"}

    assert published.snakemake("publish_all") == set()

    lock = json.loads((published.folder / "images.lock.json").read_text())
    for image in ("tool", "derived", "other"):
        receipt = published.receipt_of(image)
        assert receipt["image_id"] == config_digest(published.name(image))
        assert receipt["canonical"] is True
        assert lock["images"][published.name(image)]["node"] == receipt["node"]
        left = sorted(path.name for path in published.records(image).iterdir())
        assert left == ["build.json", "packages.cdx.json", "receipt.json", "save.json", "upload.json"]
        about = json.loads((published.records(image) / "packages.cdx.json").read_text())["metadata"]["component"]
        assert (f"{about['name']}:{about['version']}", about["bom-ref"]) == (receipt["name"], receipt["image_id"])
    assert published.receipt_of("derived")["base"] == {
        "name": published.name("tool"),
        "image_id": published.receipt_of("tool")["image_id"],
    }


def test_an_edit_publishes_only_that_image_and_what_is_built_on_it(project: Project) -> None:
    project.list_images(fields="replace: true")
    project.snakemake("publish_all")
    before = {image: project.receipt_of(image) for image in ("tool", "derived", "other")}

    (project.folder / "images/other/data/deep/file").write_text("edited")
    assert project.snakemake("publish_all") == steps_of("other")
    (project.folder / "images/tool/data/deep/file").chmod(0o600)
    assert project.snakemake("publish_all") == steps_of("tool", "derived")
    with (project.folder / "images/derived/Dockerfile").open("a") as dockerfile:
        dockerfile.write("ENV EDITED=yes\n")
    assert project.snakemake("publish_all") == steps_of("derived")

    for image, receipt in before.items():
        assert project.receipt_of(image)["node"] != receipt["node"]
        found = project.do("resolve", project.name(image))
        assert found["node"] == project.receipt_of(image)["node"]
    assert project.snakemake("publish_all") == set()


def test_a_touch_publishes_nothing(published: Project) -> None:
    for path in (published.folder / "images").rglob("*"):
        path.touch()
    (published.folder / "images.yaml").touch()
    assert published.snakemake("publish_all") == set()


def test_another_image_under_a_published_name_fails_before_it_is_built_until_it_may_replace(
    published: Project,
) -> None:
    before = published.receipt_of("other")
    (published.folder / "images/other/data/deep/file").write_text("edited")

    for _ in range(2):  # the failure is not forgotten
        failed = published.run_snakemake("publish_all")
        assert failed.code == 1
        assert f"{published.name('other')} is published already, as another image" in failed.log
        assert (
            "making" not in (published.folder / f"logs/skyport/{published.records('other').name}/build.log").read_text()
        )
    assert published.do("resolve", published.name("other"))["node"] == before["node"]

    published.list_images(fields="replace: true")
    published.snakemake("publish_all")
    images = published.do("ls")["images"]
    assert [image["node"] for image in images if image["name"] == published.name("other")] == [
        published.receipt_of("other")["node"]
    ]
    assert published.receipt_of("other")["node"] != before["node"]


def test_results_that_were_lost_are_made_again_without_engine_and_without_sending(published: Project) -> None:
    before = (published.records("derived") / "receipt.json").read_bytes()
    nodes = published.do("ls")
    for folder in ("results", ".snakemake"):
        shutil.rmtree(published.folder / folder)

    published.snakemake("publish_all", DOCKER_HOST="unix:///nonexistent/docker.sock")

    assert (published.records("derived") / "receipt.json").read_bytes() == before
    assert published.do("ls") == nodes


def test_a_dry_run_needs_neither_engine_nor_shock(project: Project) -> None:
    offline = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "SHOCK_URL": "http://127.0.0.1:9"}
    assert project.snakemake("publish_all", "--dry-run", **offline) == steps_of("tool", "derived", "other")


def test_a_build_that_fails_shows_the_instruction_and_what_it_printed(project: Project) -> None:
    step = f"RUN echo before the end of {project.folder}; exit 7"
    with (project.folder / "images/other/Dockerfile").open("a") as dockerfile:
        dockerfile.write(f"{step}\n")
    failed = project.run_snakemake("--keep-going", "publish_all")
    assert failed.code == 1
    assert step in failed.log
    assert f"| before the end of {project.folder}\n" in failed.log
    assert project.status() == {"tool": "published", "derived": "published", "other": "not published"}


def test_packages_that_cannot_be_listed_hide_no_publication(published: Project) -> None:
    (published.records("other") / "packages.cdx.json").unlink()
    receipt = published.receipt_of("other")
    files = [path for path in (published.folder / "store/files").rglob("*") if path.is_file()]
    (stored,) = [path for path in files if hashlib.md5(path.read_bytes()).hexdigest() == receipt["md5"]]
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])
    # As of an image that was published before there were lists on nodes: its file is read.
    with opened(published.folder / "store") as shock:
        node = shock.find(receipt["node"])
        assert node
        attributes = node.attributes or {}
        shock.replace_attributes(node.id, {key: attributes[key] for key in attributes if key != PACKAGES_KEY})
    (published.folder / "images.lock.json").unlink()

    failed = published.run_snakemake("--keep-going", "publish_all")
    assert failed.code == 1
    assert f"{published.name('other')} is published, but its packages could not be listed" in failed.log
    assert published.receipt_of("other") == receipt
    assert published.name("other") in json.loads((published.folder / "images.lock.json").read_text())["images"]

    stored.write_bytes(whole)
    assert published.snakemake("publish_all") == {"list_packages other", "publish_all"}
    assert published.snakemake("publish_all") == set()


def test_a_wrong_image_list_is_one_message(project: Project) -> None:
    project.list_images(fields="dockerfle: x")
    failed = project.run_snakemake("publish_all")
    assert failed.code == 1
    assert "images.yaml, line 3, field dockerfle: unknown; did you mean `dockerfile`?" in failed.log
    assert "Traceback" not in failed.log


def test_what_publish_published_does_not_hide_later_edits(project: Project) -> None:
    project.do("publish", "--all")
    project.list_images(fields="replace: true")
    (project.folder / "images/other/data/deep/file").write_text("edited")
    project.snakemake("publish_all")
    assert project.status() == {"tool": "published", "derived": "published", "other": "published"}


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
def test_a_dockerfile_beside_the_image_list(
    project: Project, tmp_path_factory: pytest.TempPathFactory, builder: str
) -> None:
    """What publishing writes there is in its folder, and neither a change nor in the image."""
    write_image_context(project.folder, base="scratch", data="x")
    with (project.folder / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("COPY . /all\n")
    (project.folder / "images.yaml").write_text(
        f"images: [{{name: '{project.name('tool')}', dockerfile: Dockerfile, builder: {builder}}}]\n"
    )
    if builder == "buildkit":
        # Where the rules write elsewhere, it is the same there.
        module = 'module a:\n    snakefile: skyport_wf.snakefile("publish")\n    prefix: "out"\n'
        config = '    config: {"lock": "lab.json"}\n\nuse rule * from a\n'
        (project.folder / "Snakefile").write_text(f"import skyport_wf\n\n{module}{config}")
    project.variables["SKYPORT_DATA"] = str(tmp_path_factory.mktemp("store"))
    assert project.snakemake("publish_all") == steps_of("tool")
    assert project.snakemake("publish_all") == set()
    assert project.snakemake("publish_all", "--forceall") == steps_of("tool")
    docker("image", "rm", "--force", project.name("tool"))
    elsewhere = str(tmp_path_factory.mktemp("elsewhere"))
    project.do("build", project.name("tool"), "--record", f"{elsewhere}/build.json", SKYPORT_DATA=elsewhere)
    inside = docker("run", "--rm", project.name("tool"), "/bin/busybox", "find", "/all").split()
    assert "/all/images.yaml" in inside
    assert not [
        path for path in inside if "skyport" in path or ".snakemake" in path or "lock" in path or "lab.json" in path
    ]
