"""Programs that the tests run in processes of their own, to kill them, or many at once."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from skyport_wf.serving.server import serve
from skyport_wf.store.changes import Change, Upload
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.values import User
from skyport_wf.store.wsgi.app import ShockApp

WRITER = User("00000000-0000-4000-8000-000000000001", "writer")


def start(program: str, folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Run one of the functions below in a process of its own."""
    command = [sys.executable, __file__, program, str(folder), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def write_node(store: Store, content: bytes) -> str:
    """Make a node of the writer's, and return its id."""
    attributes = b'{"md5": "%s"}' % hashlib.md5(content).hexdigest().encode()
    with store.files.stage() as staging:
        for start_of_piece in range(0, len(content), 65536):
            staging.write(content[start_of_piece : start_of_piece + 65536])
        return store.create(WRITER, Change(attributes=msgspec.Raw(attributes), upload=Upload("x", staging))).id


def write_forever(store: Store) -> None:
    """Make nodes, change and delete some, and say what was acknowledged, until killed."""
    while True:
        node = write_node(store, os.urandom(200_000))
        print("made", node, flush=True)
        store.update(node, WRITER, Change(tags=("changed",)))
        print("changed", node, flush=True)
        if node < "8":
            print("deleting", node, flush=True)
            store.delete(node, WRITER)


def write_some(store: Store, count: str) -> None:
    """Make some nodes, once told to begin, and say how long the slowest took."""
    print("ready", flush=True)
    input()
    longest = 0.0
    for _ in range(int(count)):
        began = time.monotonic()
        print(write_node(store, os.urandom(50_000)), flush=True)
        longest = max(longest, time.monotonic() - began)
    print(longest, flush=True)


def stage_and_wait(store: Store) -> None:
    """Be in the middle of an upload: file in its place, database not told."""
    with store.files.stage() as first, store.files.stage() as second:
        first.write(b"half a file")
        first.keep()
        second.write(b"half a file")
        print("waiting", flush=True)
        input()


def serve_until_stopped(store: Store) -> None:
    """Serve the store as the command does, and say where."""
    serve(ShockApp(store), "127.0.0.1", 0, ready=lambda url: print(url, flush=True))
    print("ended", flush=True)


def serve_until_killed(folder: Path) -> None:
    """For each line read serve the store in a new process, say where and its id, and wait until it is killed.

    A fork takes a fraction of the time that an interpreter needs to start.
    """
    while sys.stdin.readline():
        child = os.fork()
        if not child:
            with open_store(folder) as store:
                serve(ShockApp(store), "127.0.0.1", 0, ready=lambda url: print(url, os.getpid(), flush=True))
        os.waitpid(child, 0)


if __name__ == "__main__" and sys.argv[1] == "serve_until_killed":
    serve_until_killed(Path(sys.argv[2]))
elif __name__ == "__main__":
    with open_store(Path(sys.argv[2])) as opened:
        {f.__name__: f for f in (write_forever, write_some, stage_and_wait, serve_until_stopped)}[sys.argv[1]](
            opened, *sys.argv[3:]
        )
