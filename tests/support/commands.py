"""Commands as people type them: where they are, how they are started, and how they ended."""

import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from tests.support.forked import LIBRARIES, ForkServer
from tests.support.timing import PATIENCE

CHECKOUT = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
"""Commands are called by their path, as from an environment that is not activated."""
SKYPORT = str(COMMANDS / "skyport-wf")
EXAMPLES = CHECKOUT / "examples"
OF_THE_USER = ("SHOCK_URL", "KB_AUTH_TOKEN", "SHOCK_TOKEN_FILE", "SKYPORT_DATA", "SOURCE_DATE_EPOCH")
"""Variables with which whoever runs the tests works, and that tests set themselves."""


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    log: str
    """What was printed on stderr."""

    @property
    def result(self) -> Any:
        """The JSON that it printed, having succeeded."""
        assert self.code == 0, self.log
        return json.loads(self.out)


class Command:
    """A program that can be forked, running. In a `with` statement it does not outlive what fails there."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        variables: Mapping[str, str],
        quiet: bool = False,
        program: str = "skyport-wf",
    ) -> None:
        """Start it. If it is to be quiet, what it prints on stderr is dropped, and need not be read."""
        with Path(os.devnull).open("r+b") as nothing, ExitStack() as ours:
            self.stdout, out = _pipe(ours)
            self.stderr, log = _pipe(ours)
            streams = (nothing.fileno(), out, nothing.fileno() if quiet else log)
            self._told = os.fdopen(
                fork_server(program).fork([*arguments], folder=folder, variables=dict(variables), streams=streams)
            )
        self.pid = int(self._told.readline())
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, or the number of the signal below zero, if it has ended."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until it has ended, and return the same."""
        # Several threads may wait, and the exit code comes once: none looks for it when another one has taken it.
        with self._lock:
            if self.returncode is None:
                if not select.select([self._told], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
                self.returncode = int(self._told.readline())
        return self.returncode

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """Return what it has yet to print, on stdout and stderr, when it has ended."""
        printed: dict[IO[str], str] = {}
        readers = [
            threading.Thread(target=lambda it: printed.update({it: it.read()}), args=[stream], daemon=True)
            for stream in (self.stdout, self.stderr)
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return printed[self.stdout], printed[self.stderr]

    def wait_for(self, text: str) -> None:
        """Wait until it prints a line with this text on stderr."""
        assert any(text in line for line in self.stderr), f"it ended without saying {text!r}"

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr, self._told):
            stream.close()


def _pipe(ours: ExitStack) -> tuple[IO[str], int]:
    """Return a stream, and the file descriptor that writes to it, which is closed with `ours`."""
    read, write = os.pipe()
    ours.callback(os.close, write)
    return os.fdopen(read), write


@functools.cache
def fork_server(program: str) -> ForkServer:
    return ForkServer(program)


def environment(**variables: str) -> dict[str, str]:
    """Return the variables of a user who has nothing but these set."""
    return {name: value for name, value in os.environ.items() if name not in OF_THE_USER} | variables


def run(program: str, *arguments: str, folder: Path, variables: Mapping[str, str]) -> Done:
    """Run a program of the environment, and see that it ends as programs should."""
    # A Python that has begun already looks for nothing in other places.
    if program in LIBRARIES and not variables.get("PYTHONPATH"):
        with Command(arguments, folder=folder, variables=variables, program=program) as command:
            out, log = command.communicate()
        assert command.returncode is not None
        return Done(command.returncode, out, log)
    done = subprocess.run(
        [COMMANDS / program, *arguments], cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)
