"""A signal at any moment of a start ends the command in order; closed streams are no mistake."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.timing import PATIENCE

STEP_SECONDS = 0.005
STARTS = int(os.environ.get("SKYPORT_TEST_SIGNALS", "120"))
"""Of all commands with all signals; 1000 sends one every 5 ms of each command."""
INTERRUPTED_AT_THE_END = """
import signal, sys
from skyport_wf.cli import start

left, is_done = int(sys.argv.pop(1)), False

def trace(frame, event, _):
    global left, is_done
    path = frame.f_code.co_filename
    if path.endswith("cli/main.py"):
        is_done = is_done or (event == "return" and frame.f_code.co_name == "main")
    elif not path.endswith(("cli/start.py", "cli/signals.py")):
        return None
    elif is_done and event == "line":
        left -= 1
        if not left:
            signal.raise_signal(signal.SIGINT)
    return trace

sys.settrace(trace)
start.main()
"""
"""Sends itself a signal at the line of this number of those that run when a command has done its work."""
NOTHING_COMES = """
import signal, socket, sys, threading, time
from skyport_wf.cli.signals import act_on_signals

class Closes:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def send():
    time.sleep(0.2)
    # To a thread that waits for nothing: Python takes note of it, and what the program waits for is not interrupted.
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

act_on_signals()
here, there = socket.socketpair()
if sys.argv[1] == "before waiting":
    threading.Thread(target=send, daemon=True).start()
else:
    Closes()
here.recv(1)
"""
COMMANDS = {
    "ls": ["ls"],
    "publish": ["publish", "--all", "--record", "receipt.json"],
    "register": ["register", "upload.json", "--record", "receipt.json"],
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "skyport_wf", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "SKYPORT_DATA": str(folder / "shock")}, cwd=folder,
    )  # fmt: skip


def run(folder: Path, *arguments: str) -> float:
    """Run a command to its end, and return how long it took."""
    began = time.monotonic()
    with command(folder, *arguments) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return time.monotonic() - began


def in_python(process: subprocess.Popen[str]) -> bool:
    """Whether the command's first line has run: until then the signal is for Python alone."""
    handled = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(handled.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose image is sent, but not registered."""
    folder = tmp_path_factory.mktemp("signals") / "made"
    folder.mkdir()
    (folder / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"content"}),)), "lab/tool:1"))
    (folder / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    run(folder, "build", "lab/tool:1", "--record", "build.json")
    run(folder, "save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")
    run(folder, "upload", "save.json", "--record", "upload.json")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("verb", COMMANDS)
def test_at_every_moment_of_a_command(tmp_path, uploaded, verb, number):
    ended = interrupt(uploaded, tmp_path, verb, STARTS // len(COMMANDS) // len(SIGNALS), number)
    print(f"{verb}, {number.name}: {ended}")


@pytest.mark.slow
def test_when_a_command_has_done_its_work(tmp_path):
    codes = []
    while not codes or (codes[-1] == 130 and len(codes) < 40):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED_AT_THE_END, str(len(codes) + 1), "ls"], capture_output=True, text=True,
            env={**os.environ, "SKYPORT_DATA": str(tmp_path / "shock")}, cwd=tmp_path, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 130)
        assert "Traceback" not in done.stderr
        codes.append(done.returncode)
    assert codes[0] == 130, "what runs first there can be interrupted"
    assert codes[-1] == 0, "what runs last there cannot"


@pytest.mark.parametrize("moment", ["before waiting", "as an object is taken apart"])
def test_a_signal_that_python_would_lose(moment):
    """It comes when the program has looked for signals and is about to wait, or where exceptions have no effect."""
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_COMES, moment], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == ""


@pytest.mark.slow
def test_several_at_once(tmp_path, uploaded):
    """A terminal and a workflow engine both pass on the same Ctrl-C."""
    interrupt(uploaded, tmp_path, "publish", STARTS // 6, *[signal.SIGINT] * 200)


def interrupt(
    uploaded: Path, tmp_path: Path, verb: str, starts: int, number: signal.Signals, *more: signal.Signals
) -> dict[int, int]:
    """Start a command so many times, and send signals to each a bit later; return how many ended with which code."""
    copies = (shutil.copytree(uploaded, tmp_path / str(copy)) for copy in itertools.count())
    lasts = run(next(copies), *COMMANDS[verb])
    step = max(lasts / starts, STEP_SECONDS)
    ended = {0: 0, 128 + number: 0}
    for start in range(starts):
        folder = next(copies)
        with command(folder, *COMMANDS[verb]) as process:
            until = time.monotonic() + PATIENCE
            while process.poll() is None and not in_python(process) and time.monotonic() < until:
                pass
            time.sleep(start * step % lasts)
            process.send_signal(number)
            for another in more:
                time.sleep(0.0001)
                process.send_signal(another)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode in ended, said
        ended[process.returncode] += 1
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        shutil.rmtree(folder)
    assert ended[128 + number] > starts / 10, ended
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path, closed):
    environment = {**os.environ, "SKYPORT_DATA": str(tmp_path / "shock")}
    for arguments, code in (("ls", 0), ("ls --json", 0), ("resolve a/b:1", 1), ("nonsense", 2)):
        run = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m skyport_wf {arguments} {closed}"], capture_output=True, text=True,
            env=environment, cwd=tmp_path, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stdout + run.stderr
        assert "skyport-wf:" not in run.stdout


def test_a_user_that_no_file_has_a_name_for():
    """As in containers that run as any number."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    # All modules are there before, as they may lie in a folder of root's.
    program = (
        "import os; from skyport_wf.publication.connection import system_user; system_user(); os.setuid(54321); "
        "print(system_user())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={}, timeout=PATIENCE, check=True
    )
    assert run.stdout == "uid54321\n"


@pytest.mark.slow
def test_commands_of_a_user_that_no_file_has_a_name_for(tmp_path):
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, by setpriv")
    (tmp_path / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"content"}),)), "lab/tool:1"))
    (tmp_path / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    commands = [["ls"], ["status"], ["publish", "--all"], ["resolve", "lab/tool:1"]]
    program = f"import os; from skyport_wf.cli.main import main; print(os.getuid(), [main(it) for it in {commands}])"
    # It may read all files, as the environment may lie in a folder of root's.
    as_nobody = ["setpriv", "--reuid=54321", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    variables = {name: value for name, value in os.environ.items() if name not in ("USER", "LOGNAME", "HOME")}
    run = subprocess.run(
        [*as_nobody, sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
        env={**variables, "SKYPORT_DATA": str(tmp_path / "shock")}, check=True,
    )  # fmt: skip
    assert run.stdout.endswith("54321 [0, 3, 0, 0]\n"), run.stderr
    assert (tmp_path / "shock").stat().st_uid == 54321


@pytest.mark.slow
def test_commands_of_a_user_without_a_home_folder(tmp_path):
    """What only wants copies or settings goes on without; the embedded Shock says what it needs."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, by setpriv")
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/Dockerfile").write_text("FROM debian@sha256:" + "1" * 64 + "\n")
    (tmp_path / "images.yaml").write_text("images: [{name: 'lab/tool:1', dockerfile: tool/Dockerfile}]\n")
    as_nobody = ["setpriv", "--reuid=54321", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    left_out = ("USER", "LOGNAME", "HOME", "SKYPORT_DATA", "SKYPORT_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    data = f"SKYPORT_DATA={tmp_path}/shock"
    for home in ("--unset=HOME", "HOME=", "HOME=relative", "HOME=~"):
        for command, given, code, told in [
            (
                "ls",
                (),
                2,
                "no home folder for the data of the embedded Shock. Give a folder's absolute path in SKYPORT_DA",
            ),
            ("ls", (data,), 0, ""),
            ("status", (data,), 3, ""),
            ("lint", (data,), 0, ""),
            ("plan", (), 0, ""),
        ]:
            run = subprocess.run(
                [*as_nobody, "env", home, *given, sys.executable, "-m", "skyport_wf", command], cwd=tmp_path,
                capture_output=True, text=True, timeout=PATIENCE, env=variables, check=False,
            )  # fmt: skip
            assert (run.returncode, "Traceback" in run.stderr) == (code, False), (home, command, run.stdout, run.stderr)
            assert told in run.stderr
    program = "from skyport_wf.cache import cache_folder; cache_folder()"
    run = subprocess.run(
        [*as_nobody, sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False
    )
    assert "UsageError: this user has no home folder for copies of what is fetched. Give a folder's abs" in run.stderr
