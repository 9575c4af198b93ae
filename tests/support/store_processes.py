"""Programs that use a store in processes of their own, so that tests can kill them, or run many at once.

The processes are forked from one that has imported everything: they begin in milliseconds.
"""

import hashlib
import logging
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.serving.server import serve
from skyport_wf.store.access import User
from skyport_wf.store.changes import NodeChange, Upload
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.query import Query
from skyport_wf.store.wsgi.app import ShockApp

WRITER = User("00000000-0000-4000-8000-000000000001", "writer")

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "pytest", "skyport_wf.steps.register", "tests.support.lab"])
"""A process of a test run has one of these, so it imports what any test's processes need."""


class Running:
    """One of the programs below in a process of its own; killed on leaving, if it runs still."""

    def __init__(self, program: Callable[..., None], folder: Path, *arguments: object) -> None:
        self._connection, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=program, args=(theirs, folder, *arguments))
        self._process.start()
        theirs.close()
        self._ignoring: threading.Thread | None = None

    def hear(self) -> Any:
        """Wait for what the program says next, and return it."""
        return self._connection.recv()

    def hear_all(self) -> list[Any]:
        """Return everything that the program says until it ends."""
        said = []
        # OSError: it was killed while it spoke.
        with suppress(EOFError, OSError):
            while True:
                said.append(self._connection.recv())
        return said

    def ignore(self) -> None:
        """Listen no more, but let the program speak on."""
        self._ignoring = threading.Thread(target=self.hear_all)
        self._ignoring.start()

    def tell(self) -> None:
        """Let a program go on that waits for us."""
        self._connection.send(None)

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid or 0, number)

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    def wait(self) -> int | None:
        """Return the exit code, None if it does not end."""
        self._process.join(60)
        return self._process.exitcode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._ignoring:
            self._ignoring.join()
        self._connection.close()


def write_node(store: Store, content: bytes) -> str:
    """Make a node of the writer's, and return its id."""
    attributes = b'{"md5": "%s"}' % hashlib.md5(content).hexdigest().encode()
    with store.files.stage() as staging:
        for start_of_piece in range(0, len(content), 65536):
            staging.write(content[start_of_piece : start_of_piece + 65536])
        change = NodeChange(attributes=msgspec.Raw(attributes), upload=Upload("x", staging))
        return store.create(WRITER, change).id


def write_forever(say: Connection, folder: Path) -> None:
    """Make nodes, change and delete some, and say what was acknowledged, until killed."""
    with open_store(folder) as store:
        while True:
            node = write_node(store, os.urandom(200_000))
            say.send(("made", node))
            store.update(node, WRITER, NodeChange(tags=("changed",)))
            say.send(("changed", node))
            if node < "8":
                say.send(("deleting", node))
                store.delete(node, WRITER)


def write_some(say: Connection, folder: Path, count: int) -> None:
    """Make some nodes, once told to begin."""
    with open_store(folder) as store:
        say.send("ready")
        say.recv()
        for _ in range(count):
            say.send(write_node(store, os.urandom(50_000)))


def stage_and_wait(say: Connection, folder: Path) -> None:
    """Be in the middle of an upload: file in its place, database not told."""
    with open_store(folder) as store, store.files.stage() as first, store.files.stage() as second:
        first.write(b"half a file")
        first.keep()
        second.write(b"half a file")
        say.send("waiting")
        say.recv()


def serve_store(say: Connection, folder: Path) -> None:
    """Serve the store as the command does, and say where, and when that has ended."""
    with open_store(folder) as store:
        serve(ShockApp(store), "127.0.0.1", 0, maintain=store.maintain, ready=say.send)
        say.send("ended")


def serve_with_few_files(say: Connection, folder: Path, most: int) -> None:
    """Serve the store with so many files that may be open, and say at the end also what was logged as a warning."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logged: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("skyport_wf").addHandler(handler)
    serve_store(say, folder)
    say.send(logged)


def use_as(say: Connection, folder: Path, user: int, group: int) -> None:
    """Make a node, find all, delete one and remove garbage, as an ordinary user of a group, and say how it went."""
    os.setgroups([group])
    os.setgid(user)
    os.setuid(user)
    os.umask(0o022)
    try:
        with open_store(folder) as store:
            node = write_node(store, b"content")
            found = store.find(Query(), WRITER).nodes
            store.delete(node, WRITER)
            collect_garbage(store, remove=True)
    except SkyportError as error:
        say.send(str(error))
    else:
        say.send(f"{len(found)} node")
