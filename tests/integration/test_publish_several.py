"""`publish --all` with several images at once, with some that fail, and with signals."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE
from skyport_wf.shock.client import ShockClient
from tests.support.docker_archives import Image, canonical
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.lab import Lab, ServedShock, incompressible_layer, served
from tests.support.project import Project
from tests.support.terminal import Terminal
from tests.support.timing import wait_until

pytestmark = pytest.mark.slow
SIZE = 2 << 20
HELD_AT = (SIZE // 2, SIZE)
"""Bytes, of all that is sent: far enough from each other that no small request is held in the place of an archive."""
NAMES = [f"lab/tool{number}:1" for number in range(4)]


def list_archives(lab: Lab) -> None:
    for number, name in enumerate(NAMES):
        archive = canonical(Image((incompressible_layer(SIZE, seed=number),)), name)
        (lab.folder / f"{number}.tar").write_bytes(archive)
    lab.write_list(*(f"name: '{name}', archive: {number}.tar" for number, name in enumerate(NAMES)))


@pytest.fixture
def shock(tmp_path: Path) -> Iterator[tuple[ServedShock, Lab]]:
    with served(tmp_path) as (server, lab):
        list_archives(lab)
        yield server, lab


def commands_in(folder: Path) -> list[str]:
    """Return the command lines of processes that publish from a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it is gone, or not ours
            continue
    return found


def test_as_many_at_once_as_asked_for(shock: tuple[ServedShock, Lab]) -> None:
    server, lab = shock
    go_on = threading.Event()
    hold = [Fault("call", byte, lambda: go_on.wait(20)) for byte in HELD_AT]
    command = ["publish", "--all", "--jobs", "2", "--record", "{key}.json", "--lock", "lock.json"]
    with FaultProxy(server.url, hold) as proxy:
        variables = {**lab.variables, "SHOCK_URL": proxy.url}
        with Terminal(command, folder=lab.folder, variables=variables) as terminal:
            terminal.wait_for("1 of 4: publish lab/tool")
            terminal.wait_for("2 of 4: publish lab/tool")
            assert "3 of 4" not in terminal.screen
            go_on.set()
            assert terminal.wait() == 0
    assert [line.split()[:2] for line in terminal.screen.splitlines() if line.startswith("lab/")] == [
        [name, "published"] for name in NAMES
    ]
    assert "━" not in terminal.screen
    assert all("sending " + name in terminal.screen for name in NAMES)
    # Each has its receipt, and none lost its entry in the lock file to another one.
    assert sorted(lab.receipt("lock.json")["images"]) == NAMES
    assert {lab.receipt(f"lab_tool{number}_1.json")["name"] for number in range(4)} == set(NAMES)
    again = lab.do("publish", "--all", SHOCK_URL=server.url)
    assert (again["there_already"], len(again["published"])) == (NAMES, 4)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_bad_one_keeps_no_other_from_being_published(shock: tuple[ServedShock, Lab], jobs: str) -> None:
    server, lab = shock
    (lab.folder / "1.tar").write_bytes(b"no archive" * 100)
    done = lab.run("publish", "--all", "--keep-going", "--jobs", jobs, SHOCK_URL=server.url)
    assert done.code == 1
    states = [line.split()[:2] for line in done.out.splitlines() if line.startswith("lab/")]
    assert states == [[name, "failed" if name == NAMES[1] else "published"] for name in NAMES]
    assert done.out.endswith("1 image of 4 not published\n")
    assert done.log.count("1.tar is not a tar, so it is not a docker archive") == 1
    # It hides from nobody how the others stand.
    status = lab.run("status", SHOCK_URL=server.url)
    assert status.code == 3
    assert [line.split()[1] for line in status.out.splitlines()[3:7]] == [
        "published", "unknown", "published", "published",
    ]  # fmt: skip
    assert "lab/tool1:1: publishing it would fail: " in status.out
    assert lab.run("publish", "--all", "-n", SHOCK_URL=server.url).out.count("do nothing") == 3


def test_without_keep_going_the_rest_is_not_tried_and_said_so(shock: tuple[ServedShock, Lab]) -> None:
    server, lab = shock
    (lab.folder / "1.tar").write_bytes(b"no archive" * 100)
    done = lab.run("publish", "--all", "--json", SHOCK_URL=server.url)
    assert done.code == 1
    assert done.log.count("is not a tar") == 1
    assert '"error": "3 images of 4 not published"' in done.out
    assert done.out.count("--keep-going goes on all the same") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_of_them_in_order(shock: tuple[ServedShock, Lab], number: int, code: int) -> None:
    server, lab = shock
    go_on = threading.Event()
    hold = [Fault("call", byte, lambda: go_on.wait(20)) for byte in HELD_AT]
    scratch = lab.folder / "tmp"
    scratch.mkdir()
    with FaultProxy(server.url, hold) as proxy:
        variables = {"SHOCK_URL": proxy.url, "TMPDIR": str(scratch)}
        with lab.start("publish", "--all", "-j", "2", **variables) as command:
            wait_until(lambda: len(proxy.struck) == 2)
            command.send_signal(number)
            _, log = command.communicate()
        assert command.returncode == code, log
        go_on.set()
        assert commands_in(lab.folder) == []
    assert "Traceback" not in log
    assert ShockClient(server.url).query({"type": CLAIM_TYPE}) == []
    assert list(scratch.iterdir()) == []
    # What is left of it is in nobody's way.
    assert len(lab.do("publish", "--all", SHOCK_URL=server.url)["published"]) == 4


def test_a_terminal_is_left_as_it_was(shock: tuple[ServedShock, Lab]) -> None:
    server, lab = shock
    go_on = threading.Event()
    hold = [Fault("call", byte, lambda: go_on.wait(20)) for byte in HELD_AT]
    with FaultProxy(server.url, hold) as proxy:
        variables = {**lab.variables, "SHOCK_URL": proxy.url}
        with Terminal(["publish", "--all", "-j", "2"], folder=lab.folder, variables=variables) as terminal:
            terminal.wait_for("2 of 4: ")
            os.kill(terminal.pid, signal.SIGINT)
            assert terminal.wait() == 130
        go_on.set()
    assert terminal.written.rindex(b"\x1b[?25h") > terminal.written.rindex(b"\x1b[?25l")
    assert terminal.screen.endswith("skyport-wf: interrupted")
    assert "━" not in terminal.screen


def test_images_on_other_images_wait_for_these(tmp_path: Path, namespace: str) -> None:
    project = Project(tmp_path / "lab", namespace)
    done = project.run("publish", "--all", "--jobs", "3")
    assert done.code == 0, done.log
    assert [line.split()[1] for line in done.out.splitlines()[1:]] == ["published"] * 3
    said = done.log.index
    assert said(f"sending {project.name('tool')}") < said(f"making {project.name('derived')} from its dockerfile")
    # Lines of builders say whose they are.
    assert any(line.startswith(f"{project.name('other')} | ") for line in done.log.splitlines())
