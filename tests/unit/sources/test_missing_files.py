from pathlib import Path

import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.sources.resolution import resolve_images

LIST = """\
images:
  - name: lab/a:1
    dockerfile: images/a/Dockerfle
  - name: lab/b:1
    dockerfile: images/b/Dockerfile
    context: sorce
  - {name: lab/c:1, snapshot: {base: debian, script: scripts/instal.sh}}
  - {name: lab/d:1, archive: saved/d.tar}
  - {name: lab/e:1, dockerfile: nothing-like-it}
  - {name: lab/f:1, dockerfile: "https://example.org/Dockerfile"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("images/a/Dockerfile", "images/b/Dockerfile", "scripts/install.sh", "d.tar", ".git/hidden/instal.sh"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("FROM a:1\n")
    (tmp_path / "source").mkdir()
    (tmp_path / "images.yaml").write_text(LIST)
    return tmp_path


def problems(folder: Path, **settings: bool) -> list[str]:
    with pytest.raises(UsageError) as caught:
        resolve_images(read_image_list(folder / "images.yaml"), folder, **settings)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_what_is_in_a_closed_folder_is_not_said_to_be_missing(folder_of_nobody: Path) -> None:
    (folder_of_nobody / "closed").mkdir(mode=0)
    (folder_of_nobody / "images.yaml").write_text("images: [{name: 'lab/a:1', dockerfile: closed/Dockerfile}]\n")
    assert problems(folder_of_nobody)[0] == (
        "images.yaml, line 1, field dockerfile: image lab/a:1: closed/Dockerfile cannot be read: a folder on the way "
        "there is closed to you."
    )


def test_all_of_them_at_once_with_lines_and_what_may_be_meant(project: Path) -> None:
    assert problems(project) == [
        "images.yaml has 5 mistakes:",
        "images.yaml, line 3, field dockerfile: image lab/a:1: there is no Dockerfile images/a/Dockerfle; did you mean "
        "images/a/Dockerfile?",
        "     3 |     dockerfile: ...",
        "       |     ^^^^^^^^^^",
        "images.yaml, line 6, field context: image lab/b:1: there is no folder sorce; did you mean source?",
        "     6 |     context: ...",
        "       |     ^^^^^^^",
        "images.yaml, line 7, field snapshot.script: image lab/c:1: there is no script scripts/instal.sh; did you mean "
        "scripts/install.sh?",
        "     7 |   - {name: lab/c:1, snapshot: {base: debian, script: ...",
        "       |                                              ^^^^^^",
        "images.yaml, line 8, field archive: image lab/d:1: there is no archive saved/d.tar; did you mean d.tar?",
        "     8 |   - {name: lab/d:1, archive: ...",
        "       |                     ^^^^^^^",
        "images.yaml, line 9, field dockerfile: image lab/e:1: there is no Dockerfile nothing-like-it. Mend "
        "`dockerfile` in the image list.",
        "     9 |   - {name: lab/e:1, dockerfile: ...",
        "       |                     ^^^^^^^^^^",
    ]


def test_a_name_in_other_case_is_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "tools/first").mkdir(parents=True)
    (tmp_path / "tools/first/Dockerfile").write_text("FROM a:1\n")
    (tmp_path / "images.yaml").write_text("images: [{name: 'lab/a:1', dockerfile: dockerfile}]\n")
    assert problems(tmp_path)[0].endswith("there is no Dockerfile dockerfile; did you mean tools/first/Dockerfile?")


def test_whoever_plans_needs_no_archive_yet(project: Path) -> None:
    assert not any("archive" in line for line in problems(project, archives=False))


@pytest.mark.parametrize("archives", [True, False])
def test_an_address_is_told_where_none_is_taken(tmp_path: Path, archives: bool) -> None:
    """Of an archive also to those who only plan: no rule makes that."""
    (tmp_path / "images.yaml").write_text(
        "images:\n"
        "  - {name: lab/a:1, archive: 'https://example.org/a.tar?token=SECRET'}\n"
        "  - {name: lab/b:1, snapshot: {base: debian, script: 'https://example.org/install.sh'}}\n"
    )
    assert problems(tmp_path, archives=archives) == [
        "images.yaml has 2 mistakes:",
        "images.yaml, line 2, field archive: image lab/a:1: an address is not taken here. Fetch the file first, or "
        "name the image of a registry with `registry`.",
        "     2 |   - {name: lab/a:1, archive: ...",
        "       |                     ^^^^^^^",
        "images.yaml, line 3, field snapshot.script: image lab/b:1: an address is not taken here. Fetch the file "
        "first.",
        "     3 |   - {name: lab/b:1, snapshot: {base: debian, script: ...",
        "       |                                              ^^^^^^",
    ]


def test_only_the_images_that_are_asked_for_count(project: Path) -> None:
    images = read_image_list(project / "images.yaml")
    (project / "images/c").mkdir()
    with pytest.raises(UsageError, match=r"line 8, field archive") as caught:
        resolve_images(images, project, ["lab/d:1"])
    assert "mistakes" not in str(caught.value)


def test_a_folder_in_the_place_of_a_file_is_told_with_its_line(project: Path) -> None:
    (project / "images.yaml").write_text(
        "images:\n"
        "- {name: 'lab/a:1', dockerfile: images/a}\n"
        "- {name: 'lab/b:1', dockerfile: images/b/Dockerfile, context: d.tar}\n"
        "- {name: 'lab/c:1', snapshot: {base: debian, script: scripts}}\n"
    )
    assert [line.partition(": image ")[2] for line in problems(project) if ": image " in line] == [
        "lab/a:1: images/a is a folder; did you mean images/a/Dockerfile?",
        "lab/b:1: d.tar is no folder. Mend `context` in the image list.",
        "lab/c:1: scripts is a folder. Mend `snapshot.script` in the image list.",
    ]
