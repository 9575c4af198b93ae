"""`snakemake publish_all` with a real engine: what runs, what does not, and what is published then."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.support.engine import docker, write_image_context
from tests.support.project import Project

STEPS = ("build_image", "save_image", "upload_image", "register_image", "list_packages")
INCLUDE = 'import skyport_wf\n\ninclude: skyport_wf.snakefile("publish")\n'


def steps_of(*images: str) -> set[str]:
    return {f"{step} {image}" for step in STEPS for image in images} | {"lock_images", "publish_all"}


@pytest.fixture
def project(tmp_path: Path, namespace: str) -> Project:
    made = Project(tmp_path, namespace)
    (tmp_path / "Snakefile").write_text(INCLUDE)
    return made


def test_publishes_all_images_once(project: Project) -> None:
    assert project.snakemake("publish_all") == steps_of("tool", "derived", "other")
    assert project.status() == {"tool": "published", "derived": "published", "other": "published"}

    assert project.snakemake("publish_all") == set()

    lock = json.loads((project.folder / "images.lock.json").read_text())
    for image in ("tool", "derived", "other"):
        receipt = project.receipt_of(image)
        assert receipt["image_id"] == docker("image", "inspect", "--format", "{{.Id}}", project.name(image)).strip()
        assert receipt["canonical"] is True
        assert lock["images"][project.name(image)]["node"] == receipt["node"]
        assert not (project.records(image) / "image.tar.gz").exists()
        about = json.loads((project.records(image) / "packages.cdx.json").read_text())["metadata"]["component"]
        assert (f"{about['name']}:{about['version']}", about["bom-ref"]) == (receipt["name"], receipt["image_id"])
    assert project.receipt_of("derived")["base"] == {
        "name": project.name("tool"),
        "image_id": project.receipt_of("tool")["image_id"],
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


def test_a_touch_publishes_nothing(project: Project) -> None:
    project.snakemake("publish_all")
    for path in (project.folder / "images").rglob("*"):
        path.touch()
    (project.folder / "images.yaml").touch()
    assert project.snakemake("publish_all") == set()


def test_another_image_under_a_published_name_fails_before_it_is_built_until_it_may_replace(project: Project) -> None:
    project.snakemake("publish_all")
    published = project.receipt_of("other")
    (project.folder / "images/other/data/deep/file").write_text("edited")

    for _ in range(2):  # the failure is not forgotten
        failed = project.run_snakemake("publish_all")
        assert failed.code == 1
        assert f"{project.name('other')} is published already, as another image" in failed.log
        assert "making" not in (project.folder / f"logs/skyport/{project.records('other').name}/build.log").read_text()
    assert project.do("resolve", project.name("other"))["node"] == published["node"]

    project.list_images(fields="replace: true")
    project.snakemake("publish_all")
    images = project.do("ls")["images"]
    assert [image["node"] for image in images if image["name"] == project.name("other")] == [
        project.receipt_of("other")["node"]
    ]
    assert project.receipt_of("other")["node"] != published["node"]


def test_results_that_were_lost_are_made_again_without_engine_and_without_sending(project: Project) -> None:
    project.snakemake("publish_all")
    before = (project.records("derived") / "receipt.json").read_bytes()
    nodes = project.do("ls")
    for folder in ("results", ".snakemake"):
        shutil.rmtree(project.folder / folder)

    project.snakemake("publish_all", DOCKER_HOST="unix:///nonexistent/docker.sock")

    assert (project.records("derived") / "receipt.json").read_bytes() == before
    assert project.do("ls") == nodes


def test_a_dry_run_needs_neither_engine_nor_shock(project: Project) -> None:
    offline = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "SHOCK_URL": "http://127.0.0.1:9"}
    assert project.snakemake("publish_all", "--dry-run", **offline) == steps_of("tool", "derived", "other")


def test_a_build_that_fails_shows_the_instruction_and_what_it_printed(project: Project) -> None:
    with (project.folder / "images/other/Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo before the end; exit 7\n")
    failed = project.run_snakemake("--keep-going", "publish_all")
    assert failed.code == 1
    assert "RUN echo before the end; exit 7" in failed.log
    assert "| before the end" in failed.log
    assert project.status() == {"tool": "published", "derived": "published", "other": "not published"}


def test_packages_that_cannot_be_listed_hide_no_publication(project: Project) -> None:
    project.snakemake("publish_all")
    (project.records("other") / "packages.cdx.json").unlink()
    receipt = project.receipt_of("other")
    files = [path for path in (project.folder / "store/files").rglob("*") if path.is_file()]
    (stored,) = [path for path in files if hashlib.md5(path.read_bytes()).hexdigest() == receipt["md5"]]
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])
    (project.folder / "images.lock.json").unlink()

    failed = project.run_snakemake("--keep-going", "publish_all")
    assert failed.code == 1
    assert f"{project.name('other')} is published, but its packages could not be listed" in failed.log
    assert project.receipt_of("other") == receipt
    assert project.name("other") in json.loads((project.folder / "images.lock.json").read_text())["images"]

    stored.write_bytes(whole)
    assert project.snakemake("publish_all") == {"list_packages other", "publish_all"}
    assert project.snakemake("publish_all") == set()


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
    project.variables["SKYPORT_DATA"] = str(tmp_path_factory.mktemp("store"))
    assert project.snakemake("publish_all") == steps_of("tool")
    assert project.snakemake("publish_all") == set()
    assert project.snakemake("publish_all", "--forceall") == steps_of("tool")
    docker("image", "rm", "--force", project.name("tool"))
    elsewhere = str(tmp_path_factory.mktemp("elsewhere"))
    project.do("build", project.name("tool"), "--record", f"{elsewhere}/build.json", SKYPORT_DATA=elsewhere)
    inside = docker("run", "--rm", project.name("tool"), "/bin/busybox", "find", "/all").split()
    assert "/all/images.yaml" in inside
    assert not [path for path in inside if "skyport" in path or ".snakemake" in path or "lock" in path]
