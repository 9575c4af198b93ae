"""Whether an image has a bash, told by a real engine without running anything."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.engine.containers import has_program
from skyport_wf.errors import EngineError
from skyport_wf.inspection.show import examine_in_engine
from tests.support.commands import SKYPORT
from tests.support.dockerfile_lint import DIGEST
from tests.support.engine import docker
from tests.support.podman_service import PodmanService

PROGRAM = b"#!/bin/sh\n"


def member(
    name: str, *, mode: int = 0o755, link: str = "", folder: bool = False, size: int = len(PROGRAM)
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.size = 0 if link or folder else size
    info.linkname = link
    info.type = tarfile.SYMTYPE if link else tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return info


BIN = member("bin", folder=True)
CASES = {
    "a program": (True, [BIN, member("bin/bash")]),
    "nothing": (False, [BIN, member("bin/sh")]),
    "an empty image": (False, [member("x")]),
    "not to be run": (False, [BIN, member("bin/bash", mode=0o644)]),
    "an empty file": (False, [BIN, member("bin/bash", size=0)]),
    "a link to an empty file": (False, [BIN, member("bin/bash", link="x"), member("bin/x", size=0)]),
    "a folder": (False, [BIN, member("bin/bash", folder=True)]),
    "a link": (True, [BIN, member("bin/bash", link="busybox"), member("bin/busybox")]),
    "an absolute link": (True, [BIN, member("bin/bash", link="/opt/x"), member("opt", folder=True), member("opt/x")]),
    "a link of a link": (True, [BIN, member("bin/bash", link="a"), member("bin/a", link="b"), member("bin/b")]),
    "a link to nothing": (False, [BIN, member("bin/bash", link="/usr/bin/bash")]),
    "a link to a folder": (False, [BIN, member("bin/bash", link="/opt"), member("opt", folder=True)]),
    "a link out of the image": (False, [BIN, member("bin/bash", link="../../../../usr/bin/env")]),
    "a link of Guix": (True, [member("gnu", folder=True), member("gnu/bash", mode=0o555), BIN,
                              member("bin/bash", link="/gnu/bash")]),
    "a link to itself": (False, [BIN, member("bin/bash", link="bash")]),
    "on an unmerged system": (False, [member("usr", folder=True), member("usr/bin", folder=True),
                                      member("usr/bin/bash")]),
    "a linked folder": (True, [member("usr", folder=True), member("usr/bin", folder=True), member("usr/bin/bash"),
                               member("bin", link="usr/bin")]),
}  # fmt: skip


def image_tar(members: list[tarfile.TarInfo]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(PROGRAM))
    return content.getvalue()


def import_image(name: str, members: list[tarfile.TarInfo]) -> None:
    subprocess.run(["docker", "import", "-", name], input=image_tar(members), check=True, capture_output=True)


@pytest.mark.parametrize(("expected", "members"), CASES.values(), ids=CASES.keys())
def test_has_program(namespace: str, expected: bool, members: list[tarfile.TarInfo]) -> None:
    name = f"{namespace}/image:1"
    import_image(name, members)
    # What `show` says of it.
    assert examine_in_engine(connect(), name).has_bash is expected
    assert has_program(connect(), name, "/bin/bash") is expected
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""


def test_has_program_in_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PodmanService() as podman:
        monkeypatch.setenv("DOCKER_HOST", podman.address)
        for number, (expected, members) in enumerate(CASES.values()):
            (tmp_path / "image.tar").write_bytes(image_tar(members))
            podman.podman("import", str(tmp_path / "image.tar"), f"lab/image:{number}")
            assert has_program(connect(), f"lab/image:{number}", "/bin/bash") is expected
        assert podman.podman("ps", "--all", "--quiet") == ""


def test_what_the_engine_cannot_tell_is_an_error(namespace: str) -> None:
    name = f"{namespace}/image:1"
    import_image(name, [BIN])
    with pytest.raises(EngineError, match=r"the engine did not say whether there is a /bin/xx.*: HTTP 500"):
        has_program(connect(), name, f"/bin/{'x' * 300}")


def test_lint_looks_into_the_images_that_the_engine_has(namespace: str, tmp_path: Path) -> None:
    import_image(f"{namespace}/good:1", CASES["a program"][1])
    import_image(f"{namespace}/bad:1", CASES["nothing"][1])
    (tmp_path / "Dockerfile").write_text(f"FROM alpine:3@{DIGEST}\n")
    names = ("good", "bad", "missing")
    entries = "".join(f"  - name: {namespace}/{name}:1\n    dockerfile: Dockerfile\n" for name in names)
    entries += f"  - name: {namespace}/other:1\n    image: {namespace}/bad:1\n"
    (tmp_path / "images.yaml").write_text(f"images:\n{entries}")

    def findings(*arguments: str) -> tuple[list[str], str]:
        done = subprocess.run(
            [SKYPORT, "lint", "--json", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 3)
        return [
            f"{one['file']}:{one['line']} {one['code']}" for one in json.loads(done.stdout)["findings"]
        ], done.stderr

    assert findings() == (["Dockerfile:1 SKY041"], "")
    assert findings(f"{namespace}/good:1", "--engine") == ([], "")
    assert findings(f"{namespace}/bad:1", f"{namespace}/other:1", "--engine") == (
        ["images.yaml:4 SKY042", "images.yaml:8 SKY042"], "",
    )  # fmt: skip
    found, log = findings(f"{namespace}/missing:1", "--engine")
    assert found == ["Dockerfile:1 SKY041"]
    assert f"the engine has no image {namespace}/missing:1 to look into. `skyport-wf build` makes it." in log


def test_an_engine_that_does_not_answer_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("images: [{name: 'a/b:1', image: x}]")
    done = subprocess.run(
        [SKYPORT, "lint", "--engine"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 75
    assert "no Docker engine answers at" in done.stderr
