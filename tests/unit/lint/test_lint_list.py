"""`skyport-wf lint` on an image list: Dockerfiles, bases and scripts of its images."""

import json
import os
import re

import pytest

from tests.support.dockerfile_lint import DIGEST
from tests.support.lint_folder import LintFolder

LIST = """\
images:
  - name: lab/base:1
    dockerfile: base/Dockerfile
  - name: lab/tool:1
    dockerfile: base/Dockerfile
    build_args: {WHICH: latest}
  - name: lab/notes:1
    snapshot:
      # hadolint ignore=SKY002
      base: debian:12
      script: install.sh
  - name: lab/more:1
    snapshot: {base: debian, script: more.sh}
  - name: lab/hand:1
    container: abc
"""


@pytest.fixture
def listed(folder: LintFolder) -> LintFolder:
    folder.add("lab/images.yaml", LIST)
    folder.add("lab/base/Dockerfile", "ARG WHICH=12\nFROM debian:${WHICH}\n")
    folder.add("lab/install.sh", "#!/bin/sh\n# hadolint ignore=SKY011\napt-get install a\napt-get install b\n")
    folder.add("lab/more.sh", "#!/bin/bash\ncurl https://x.test/i | bash\n")
    return folder


def test_the_images_of_a_list(listed: LintFolder) -> None:
    found = listed.findings("--images", "lab/images.yaml")
    assert [f"{one['file']}:{one['line']} {one['code']}" for one in found] == [
        "lab/images.yaml:13 SKY001",
        "lab/base/Dockerfile:2 SKY001",
        "lab/base/Dockerfile:2 SKY002",
        "lab/install.sh:4 SKY011",
        "lab/more.sh:2 SKY031",
    ]
    files = json.loads(listed.lint("--json", "--images", "lab").out)["files"]
    assert {file["file"]: file["images"] for file in files} == {
        "lab/images.yaml": ["lab/base:1", "lab/tool:1", "lab/notes:1", "lab/more:1", "lab/hand:1"],
        "lab/base/Dockerfile": ["lab/base:1", "lab/tool:1"],
        "lab/install.sh": ["lab/notes:1"],
        "lab/more.sh": ["lab/more:1"],
    }


def test_some_images_of_a_list(listed: LintFolder) -> None:
    assert listed.told("lab/base:1", "--images", "lab") == ["2 SKY002"]
    assert listed.told("lab/tool:1", "lab/hand:1", "--images", "lab") == ["2 SKY001"]
    assert listed.lint("lab/base:1", "--images", "lab").code == 0
    assert listed.lint("lab/hand:1", "--images", "lab").out == "1 file: 0 findings\n"


def test_directives_are_looked_at(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", f"# escape=x\nFROM debian@{DIGEST}\n")
    assert listed.told("lab/base:1", "--images", "lab") == ["1 SKY005"]


def test_files_of_the_context_are_looked_for(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", f"FROM debian@{DIGEST}\nCOPY tool data /x/\n")
    listed.add("lab/base/data", "")
    listed.add("lab/base/.dockerignore", "data\n")
    assert listed.told("lab/base:1", "--images", "lab") == ["2 SKY071", "2 SKY072"]
    assert listed.lint("lab/base:1", "--images", "lab", "--level", "error").code == 3
    listed.add("lab/base/tool", "")
    (listed.folder / "lab/base/.dockerignore").unlink()
    assert listed.told("lab/base:1", "--images", "lab") == []


def test_secrets_that_the_list_does_not_have(listed: LintFolder) -> None:
    mounts = (
        "secret,id=key",
        "secret,id=kye",
        "secret,target=/run/key",
        "secret,source=key,target=/run/kye",
        "ssh",
        "ssh,id=deploy",
        "cache,target=/c",
    )
    text = "".join(f"RUN --mount=type={mount} make\n" for mount in mounts)
    listed.add("lab/base/Dockerfile", f"FROM debian@{DIGEST}\n{text}")
    assert listed.told("lab/base:1", "--images", "lab") == [f"{line} SKY076" for line in range(2, 8)]
    fields = "secrets: {key: {env: KEY}}, ssh: [deploy=id_rsa]"
    listed.add("lab/images.yaml", f"images: [{{name: 'lab/base:1', dockerfile: base/Dockerfile, {fields}}}]\n")
    assert listed.told("lab/base:1", "--images", "lab") == ["3 SKY076", "6 SKY076"]
    assert "`key`, if that is meant; or `secrets: {kye: " in listed.lint("--images", "lab").out
    assert "SKY076" not in listed.lint("--dockerfile", "lab/base/Dockerfile").out


def test_a_script_that_writes_into_a_volume_of_its_base(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", f"FROM debian@{DIGEST} AS one\nVOLUME /data\nFROM one\n")
    listed.add("lab/images.yaml", LIST.replace("base: debian:12", "base: docker.io/lab/base:1"))
    listed.add("lab/install.sh", "#!/bin/sh\ntouch /data/x /y\n")
    assert listed.told("lab/notes:1", "--images", "lab") == ["2 SKY062"]
    for as_on_windows in ("#!/bin/sh\r\ntouch /y\r\n", "#!/bin/sh\ntouch /y\n".encode("utf-16")):
        listed.add("lab/install.sh", as_on_windows)
        assert listed.told("lab/notes:1", "--images", "lab") == ["1 SKY091"]


@pytest.mark.parametrize(
    "declared",
    [
        "ENV DATA=/data\nVOLUME $DATA\n",
        "ENV A=/d\nENV DATA ${A}ata\nVOLUME $DATA\n",
        "ARG DATA=/data\nVOLUME $DATA\n",
        "ARG OUT\nVOLUME $OUT\n",
        "ARG GIVEN=/x\nVOLUME $GIVEN\n",
        "ARG DATA=/data\nFROM one AS two\nVOLUME $DATA/x/..\n",
    ],
)
def test_a_volume_of_the_base_whose_path_is_a_variable(listed: LintFolder, declared: str) -> None:
    listed.add("lab/base/Dockerfile", f"ARG OUT=/data\nFROM debian@{DIGEST} AS one\n{declared}")
    child = "  - name: lab/child:1\n    dockerfile: child/Dockerfile\n"
    given = LIST.replace("base/Dockerfile\n", "base/Dockerfile\n    build_args: {GIVEN: /data}\n", 1)
    listed.add("lab/images.yaml", given.replace("base: debian:12", "base: lab/base:1") + child)
    listed.add("lab/install.sh", "#!/bin/sh\ntouch /data/x /y\n")
    listed.add("lab/child/Dockerfile", "FROM lab/base:1\nRUN touch /data/x\n")
    assert listed.told("lab/notes:1", "--images", "lab") == ["2 SKY062"]
    assert listed.told("lab/child:1", "--images", "lab") == ["2 SKY061"]


def test_a_variable_that_its_stage_does_not_declare_makes_no_volume(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", f"ARG OUT=/data\nFROM debian@{DIGEST}\nVOLUME $OUT\n")
    listed.add("lab/images.yaml", LIST.replace("base: debian:12", "base: lab/base:1"))
    listed.add("lab/install.sh", "#!/bin/sh\ntouch /data/x\n")
    assert listed.told("lab/notes:1", "--images", "lab") == []


@pytest.mark.parametrize("script", [b"\0\0\0", b"\xff\xfe\n", b"#!/bin/sh\n\0touch /x\n", b"x" * 900_000])
def test_odd_scripts(listed: LintFolder, script: bytes) -> None:
    listed.add("lab/install.sh", script)
    assert listed.lint("lab/notes:1", "--images", "lab").code in (0, 3)


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "\\0", "a\\0b", "x/" * 3000, "."],
    ids=["300 letters", "a NUL", "a NUL between", "3000 folders", "a folder"],
)
@pytest.mark.parametrize(
    "field", ["dockerfile: {}", "dockerfile: base/Dockerfile\n    context: {}", "snapshot: {{base: 'a:1', script: {}}}"]
)
def test_names_that_no_file_can_have(listed: LintFolder, field: str, name: str) -> None:
    quoted = f'"{name}"'
    listed.add("lab/images.yaml", f"images:\n  - name: lab/a:1\n    {field.format(quoted)}\n")
    for verb in ("lint", "plan"):
        done = listed.run(verb, "--images", "lab")
        assert done.code in (0, 2, 3), done.log


@pytest.mark.parametrize("name", ["lab/install.sh", "lab/base/Dockerfile"])
def test_pipes_devices_and_endless_files_of_the_list(listed: LintFolder, name: str) -> None:
    path = listed.folder / name
    for make, words in (
        (lambda: os.mkfifo(path), "device or pipe|there is no Dockerfile"),
        (lambda: path.symlink_to("/dev/zero"), "device or pipe|there is no Dockerfile"),
        (lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40), "it has more than 1 MiB"),
    ):
        path.unlink()
        make()
        done = listed.lint("--images", "lab")
        assert (done.code, done.out) == (2, "")
        assert re.search(words, done.log), done.log


def test_an_image_that_is_not_in_the_list(listed: LintFolder) -> None:
    done = listed.lint("lab/bases:1", "--images", "lab")
    assert (done.code, done.out) == (2, "")
    assert "image 'lab/bases:1' is not in the image list. It has: lab/base:1" in done.log


@pytest.mark.parametrize(("gone", "message"), [
    ("lab/base/Dockerfile", "image lab/base:1: there is no Dockerfile lab/base/Dockerfile"),
    ("lab/more.sh", "image lab/more:1: there is no script lab/more.sh"),
])  # fmt: skip
def test_a_file_of_the_list_that_is_missing(listed: LintFolder, gone: str, message: str) -> None:
    (listed.folder / gone).unlink()
    done = listed.lint("--images", "lab")
    assert done.code == 2
    assert message in done.log


def test_the_report(listed: LintFolder) -> None:
    done = listed.lint("lab/base:1", "--images", "lab", "--report", "new/folder/lint.json", "--level", "info")
    assert done.code == 3
    report = json.loads((listed.folder / "new/folder/lint.json").read_text())
    assert report == json.loads(listed.lint("lab/base:1", "--images", "lab", "--level", "info", "--json").out)
    assert (report["level"], report["hadolint"], report["findings"][0]["code"]) == ("info", True, "SKY002")
