"""What people see: bars, messages above them, colours, and tables as wide as the terminal."""

import os
import threading
from pathlib import Path

import pytest

from tests.support.docker_archives import Image, canonical
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.lab import Lab, incompressible_layer, served
from tests.support.terminal import Terminal

NAMES = ("lab/first:1.0", "lab/second-with-a-long-name:1.0")
SIZE = 3 << 20
CYAN, GREEN, RED = b"\x1b[36m", b"\x1b[32m", b"\x1b[31m"


def write_archives(lab: Lab) -> None:
    for number, name in enumerate(NAMES):
        archive = canonical(Image((incompressible_layer(SIZE, seed=number),)), name)
        (lab.folder / f"{number}.tar").write_bytes(archive)
    lab.write_list(
        *(f"name: '{name}', archive: {number}.tar" for number, name in enumerate(NAMES)),
        shock="url: embedded, parts_above: 1, part_size: 1",
    )


@pytest.mark.slow
def test_bars_are_below_all_messages_and_gone_at_the_end(tmp_path: Path) -> None:
    go_on = threading.Event()
    held = Fault("call", SIZE + SIZE // 2, lambda: go_on.wait(60))
    with served(tmp_path) as (server, lab), FaultProxy(server.url, [held]) as proxy:
        write_archives(lab)
        variables = {**lab.variables, "SHOCK_URL": proxy.url}
        with Terminal(["publish", "--all", "-v"], folder=lab.folder, variables=variables) as terminal:
            terminal.wait_for("2 of 2: publish lab/")
            terminal.wait_for(" left")
            *messages, bar = terminal.screen.splitlines()
            assert len(bar) <= 80
            assert bar.startswith("2 of 2: publish lab/") and " left" in bar, bar
            assert any("sending lab/second" in line for line in messages)
            go_on.set()
            assert terminal.wait() == 0
    ended = terminal.screen
    # Nothing of a bar is left, and no message is broken by one.
    assert "━" not in ended and " left" not in ended
    assert ended.index("sending lab/first") < ended.index("sending lab/second") < ended.index("IMAGE ")
    assert all(message in ended for message in "\n".join(messages).split("skyport-wf: "))
    assert max(map(len, ended.splitlines())) <= 80
    assert CYAN in terminal.written
    # The cursor is there again.
    assert terminal.written.rindex(b"\x1b[?25h") > terminal.written.rindex(b"\x1b[?25l")


def test_words_of_others_are_no_markup_and_no_escape_sequences(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    pipe = tmp_path / "[red]x\x1b[31m.tar"
    os.mkfifo(pipe)
    archive = canonical(Image((incompressible_layer(SIZE),)), NAMES[0])
    command = ["show", "--archive", pipe.name, "--no-progress"]
    for shown in (False, True):
        with Terminal(command[: 4 - shown], folder=tmp_path, variables=lab.variables) as terminal:
            with pipe.open("wb") as file:
                file.write(archive[:SIZE])
                file.flush()
                if shown:
                    terminal.wait_for("read [red]x[31m.tar")
                file.write(archive[SIZE:])
            assert terminal.wait() == 0
        assert RED not in terminal.written
        assert NAMES[0] in terminal.screen
        assert (b"read [red]" in terminal.written) == shown


def verify_on_terminal(lab: Lab, **variables: str) -> bytes:
    """Return what `verify` of a list of which nothing is published writes: a table with colours, if there are any."""
    with Terminal(["verify"], folder=lab.folder, variables={**lab.variables, **variables}) as terminal:
        assert terminal.wait() == 3
    return terminal.written


def test_colours_are_as_the_variables_say(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.write(b"")
    (tmp_path / "images.lock.json").write_text('{"record": "skyport-wf lock 1", "images": {}}')
    assert RED + b"DIFFERS\x1b[0m" in verify_on_terminal(lab)
    for variables in ({"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}):
        written = verify_on_terminal(lab, **variables)
        assert b"DIFFERS" in written and b"\x1b" not in written, variables
    assert "\x1b" not in lab.run("verify").out
    assert (RED + b"DIFFERS\x1b[0m").decode() in lab.run("verify", FORCE_COLOR="1").out


def test_errors_and_warnings_stand_out(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with Terminal(["status"], folder=tmp_path, variables=lab.variables) as terminal:
        assert terminal.wait() == 2
    assert terminal.written.startswith(RED + b"skyport-wf:\x1b[0m ")
    assert "\x1b" not in lab.run("status").log


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_is_as_wide_as_the_terminal(tmp_path: Path, columns: int) -> None:
    lab = Lab(tmp_path)
    write_archives(lab)
    command = ["publish", "--all", "--dry-run"]
    whole = lab.run(*command).out
    with Terminal(command, folder=tmp_path, variables=lab.variables, columns=columns) as terminal:
        assert terminal.wait() == 0
    printed = terminal.written.decode().replace("\r\n", "\n")
    assert max(map(len, printed.splitlines())) <= columns
    # Nothing is cut off, and what is piped has a line for each image.
    assert "".join(printed.split()) == "".join(whole.split()) or columns == 40
    assert len(whole.splitlines()) == 1 + len(NAMES)
