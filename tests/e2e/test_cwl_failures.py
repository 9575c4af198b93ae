"""What can go wrong with a CWL job: the runner fails, the command's own message is there, and nothing is published."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.cwl_project import TOKEN, WORKFLOWS, Run, a_file, cwltool, directory, published, served_shock, toil
from tests.support.pipeline import write_images
from tests.support.project import Project

FORMS = ("publish-images.cwl", "publish-image.cwl", "publish-image.tool.cwl")


class CwlLab:
    """A project of one image, a job that publishes it, and a runner."""

    def __init__(self, folder: Path, engine: str, namespace: str) -> None:
        self.folder = folder
        (folder / "project").mkdir()
        self.project = Project(folder / "project", namespace)
        self.name = self.project.name("tool")
        self.write_list(f"  - name: {self.name}\n    dockerfile: images/tool/Dockerfile\n")
        self.store = folder / "store"
        self.job: dict[str, Any] = {
            "project": directory(folder / "project"), "docker_host": engine, "skyport_data": str(self.store),
        }  # fmt: skip
        self.runner = cwltool(folder / "runs")

    def write_list(self, images: str) -> None:
        (self.folder / "project/images.yaml").write_text(f"images:\n{images}")

    def add_a_failing_step(self) -> str:
        """Add an instruction that fails, and that no other test runs: engines may share what it prints; return it."""
        step = f"RUN echo before the end of {self.name}; exit 7"
        with (self.folder / "project/images/tool/Dockerfile").open("a") as dockerfile:
            dockerfile.write(f"{step}\n")
        return step

    def run(self, form: str, **job: Any) -> Run:
        name = {} if form == "publish-images.cwl" else {"name": self.name}
        return self.runner.run(WORKFLOWS / form, self.job | name | job)

    def fails(self, form: str, message: str, *, code: int, **job: Any) -> Run:
        """Run a job that has to fail with the command's message and exit code, and without a receipt."""
        run = self.run(form, **job)
        assert run.code == 1
        assert message in run.stderr, run.stderr
        assert f"exited with status: {code}" in run.stderr
        assert "Traceback" not in run.stderr
        assert not list((run.folder / "out").glob("*.json"))
        return run


@pytest.fixture
def lab(tmp_path: Path, engine: str, namespace: str) -> CwlLab:
    return CwlLab(tmp_path, engine, namespace)


@pytest.mark.parametrize("form", FORMS)
def test_a_build_that_fails(lab: CwlLab, form: str) -> None:
    run = lab.fails(form, lab.add_a_failing_step(), code=1)
    assert f"| before the end of {lab.name}\n" in run.stderr
    assert published(lab.store) == []


def test_one_image_of_several_that_fails_leaves_the_others_published(lab: CwlLab) -> None:
    other = lab.project.name("other")
    good = f"  - name: {other}\n    dockerfile: images/other/Dockerfile\n"
    lab.write_list(f"  - name: {lab.name}\n    image: no-such-image:1\n{good}")
    lab.runner = cwltool(lab.folder / "runs", "--on-error", "continue")
    run = lab.run("publish-images.cwl")
    assert run.code == 1
    assert "the engine has no image no-such-image:1" in run.stderr
    assert [image["name"] for image in published(lab.store)] == [other]


@pytest.mark.parametrize("form", FORMS)
def test_a_shock_that_is_unreachable(lab: CwlLab, form: str) -> None:
    lab.fails(form, "http://127.0.0.1:9", code=75, shock_url="http://127.0.0.1:9")


@pytest.mark.parametrize("form", FORMS)
def test_an_engine_that_is_unreachable(lab: CwlLab, form: str) -> None:
    host = "unix:///nonexistent/docker.sock"
    lab.fails(form, host, code=75, docker_host=host)
    assert published(lab.store) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_token(lab: CwlLab, form: str) -> None:
    with served_shock(lab.folder / "served") as url:
        run = lab.fails(form, "The token in KB_AUTH_TOKEN is not one", code=1, shock_url=url, token=f"{TOKEN}-not")
    assert f"{TOKEN}-not" not in run.stderr
    assert published(lab.folder / "served") == []


def test_a_token_file_that_is_missing_empty_or_wrong(lab: CwlLab) -> None:
    path = lab.folder / "token"
    with served_shock(lab.folder / "served") as url:
        job = {"shock_url": url, "token": TOKEN, "token_file": str(path)}
        lab.fails("publish-image.tool.cwl", f"cannot read the token file {path}", code=2, **job)
        path.write_text("\n")
        lab.fails("publish-image.tool.cwl", f"the token file {path} (SHOCK_TOKEN_FILE) is empty", code=2, **job)
        path.write_text("not-a-token-of-anyone\n")
        run = lab.fails("publish-image.tool.cwl", f"The token in {path} is not one", code=1, **job)
    assert "not-a-token-of-anyone" not in run.stderr
    assert published(lab.folder / "served") == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"shock_url": "shock.example.org"}, "the variable SHOCK_URL: not the URL of a Shock server"),
        ({"skyport_data": ""}, "the variable SKYPORT_DATA is ''"),
        ({"skyport_data": "store"}, "the variable SKYPORT_DATA is 'store'"),
    ],
    ids=["no scheme", "no data folder", "relative data folder"],
)
def test_a_job_that_does_not_say_where_to(lab: CwlLab, form: str, job: dict[str, str], message: str) -> None:
    lab.fails(form, message, code=2, **job)
    assert not lab.store.exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("  []\n", "field images: expected a list of length >= 1"),
        ("  - name: lab/tool:latest\n    dockerfile: x\n", "the tag `latest` cannot be published"),
        ("  - name: localhost:5000/tool:1\n    dockerfile: x\n", "it has more than one colon"),
        ("  - name: lab/tool:1\n    dockerfile: images/none/Dockerfile\n", "images/none/Dockerfile"),
    ],
    ids=["empty", "latest", "two colons", "no Dockerfile"],
)
def test_an_image_list_that_cannot_be_published(lab: CwlLab, images: str, message: str) -> None:
    lab.write_list(images)
    lab.fails("publish-images.cwl", message, code=2)
    lab.fails("publish-image.tool.cwl", message, code=2, name="lab/tool:1")
    assert not lab.store.exists() or published(lab.store) == []


def test_a_name_that_is_not_in_the_list(lab: CwlLab) -> None:
    for form in ("publish-image.cwl", "publish-image.tool.cwl"):
        lab.fails(form, "image 'lab/other:1' is not in the image list", code=2, name="lab/other:1")


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        ("publish-image.tool.cwl", "lab/*", "--one: lab/* means 2 images. Name one."),
        ("publish-image.tool.cwl", "--all", "image '--all' is not in the image list"),
        ("tools/build.cwl", "--help", "image '--help' is not in the image list"),
    ],
)
def test_what_is_not_the_name_of_one_image(tmp_path: Path, form: str, name: str, message: str) -> None:
    write_images(tmp_path / "project", "lab/x:1", "lab/y:1")
    job = {"project": directory(tmp_path / "project"), "skyport_data": str(tmp_path / "store"), "name": name}
    run = cwltool(tmp_path / "runs").run(WORKFLOWS / form, job)
    assert run.code == 1
    assert message in run.stderr
    assert "exited with status: 2" in run.stderr
    assert not (tmp_path / "store").exists()


def test_a_pattern_that_means_one_image(tmp_path: Path) -> None:
    write_images(tmp_path / "project", "lab/x:1", "lab/y:1")
    job = {"project": directory(tmp_path / "project"), "skyport_data": str(tmp_path / "store"), "name": "lab/x:*"}
    run = cwltool(tmp_path / "runs").run(WORKFLOWS / "publish-image.tool.cwl", job)
    assert run.read("receipt")["name"] == "lab/x:1"


def test_a_project_without_an_image_list(lab: CwlLab) -> None:
    (lab.folder / "project/images.yaml").unlink()
    lab.fails("publish-images.cwl", "images.yaml", code=2)


def test_a_job_whose_folder_is_missing(lab: CwlLab) -> None:
    for form in FORMS:
        lab.fails(form, "/nowhere. `skyport-wf init` writes one", code=2, project=directory(lab.folder / "nowhere"))
    assert not lab.store.exists()


def test_a_job_whose_file_is_missing(lab: CwlLab) -> None:
    job = {"upload": a_file(lab.folder / "none.json"), "skyport_data": str(lab.store)}
    run = lab.runner.run(WORKFLOWS / "tools/register.cwl", job)
    assert run.code == 1
    assert "none.json" in run.stderr
    assert not lab.store.exists()


def test_a_record_of_another_step(lab: CwlLab) -> None:
    (lab.folder / "some.json").write_text('{"record": "skyport-wf build 1"}\n')
    job = {"upload": a_file(lab.folder / "some.json"), "skyport_data": str(lab.store)}
    run = lab.runner.run(WORKFLOWS / "tools/register.cwl", job)
    assert run.code == 1
    assert "some.json is not a `skyport-wf upload 2` record" in run.stderr
    assert not lab.store.exists()


def test_the_name_of_another_image(lab: CwlLab) -> None:
    lab.run("publish-image.tool.cwl").read("receipt")
    before = published(lab.store)
    (lab.folder / "project/images/tool/data/deep/file").write_text("edited")
    for form in FORMS:
        lab.fails(form, f"{lab.name} is published already, as another image", code=1)
    assert published(lab.store) == before


def test_toil_shows_why_a_build_failed(lab: CwlLab) -> None:
    step = lab.add_a_failing_step()
    lab.runner = toil(lab.folder / "runs", "--jobStore", str(lab.folder / "jobs"))
    run = lab.run("publish-image.tool.cwl")
    assert run.code != 0
    assert step in run.stderr
    assert published(lab.store) == []


def test_toil_shows_that_a_shock_url_is_wrong(lab: CwlLab) -> None:
    lab.runner = toil(lab.folder / "runs", "--jobStore", str(lab.folder / "jobs"))
    run = lab.run("publish-image.tool.cwl", shock_url="shock.example.org")
    assert run.code != 0
    assert "the variable SHOCK_URL: not the URL of a Shock server" in run.stderr
    assert not lab.store.exists()


def test_the_command_refuses_one_receipt_for_two_images(lab: CwlLab) -> None:
    done = lab.project.run("publish", "--all", "--record", "receipt.json", "--dry-run", SKYPORT_DATA=str(lab.store))
    assert done.code == 0  # one image
    lab.project.list_images()
    done = lab.project.run("publish", "--all", "--record", "x.json")
    assert (done.code, done.out) == (2, "")
    assert "each image needs a file of its own. Put {key} into the name." in done.log
