"""Values that nobody should give, for options, fields and variables; and a project in which they are given."""

import faulthandler
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from skyport_wf.cli.main import main
from tests.support.commands import Done
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.timing import PATIENCE

NAME = "lab/tool:1"
WORDS = (
    *("", " ", "\t", "\n", "-", "--", "-1", "0", "1e999", "nan", "٣", "9" * 5000, "x", "x" * 300, "x/" * 3000),
    *("\0", "\x1b[2J\x07", "a\u202eb\r\nc", "\udcff\udcfe", "ünïcödé", "{key}", "{}", "{0}", "%s%n", "~nobody/x"),
    *("*", "[", "(", "\\", "http://[", "http://x..y/z", f"http://{'a' * 64}.test/", "https://user:s3cret@h.test/"),
    *("file:///etc/passwd", "git@h.test:x", "http://127.0.0.1:1/x.git#\x1b", "http://127.0.0.1:99999/"),
    *("http://127.0.0.1:1/x#y", "tcp://h.test:1:2", "a/b:c:d", "lab/tool:1@sha256:0", "sha256:" + "0" * 64),
    *("lab/tool", f"lab/{'x' * 300}:1", "lab/other:1", "/dev/null", "/dev/zero", "/dev/full", "/proc/none/x"),
    *("pipe", "socket", "folder", "loop", "dangling", "..", "x" * 250 + "/y", "binary", "deep", "huge"),
    *("notes.txt", "images.yaml", "image.tar", "notes.txt/x", "linked.txt", "none/none"),
)
"""Long, empty, odd, of control characters; what looks like numbers, addresses and names; and files of all kinds."""

OTHER_THAN_WORDS = (
    None, True, 0, -1, 10**30, 1.5, float("inf"), float("nan"), [], {}, [[]], [None], {"x": None}, {"x": {"x": 1}},
    ["x"] * 1000, {str(number): "x" for number in range(1000)},
)  # fmt: skip

HUGE = 100 << 20
"""Bytes of a file without content that is too large for anything but an archive."""
KEPT = ("notes.txt", "images.yaml", "image.tar", "tool/Dockerfile", "binary")
"""Files that no command may touch, whatever is said to it."""


def make_project(folder: Path) -> Path:
    """Make a project with a published image and the records of all its steps, among files of all kinds."""
    (folder / "tool").mkdir(parents=True)
    (folder / "tool/Dockerfile").write_text("FROM scratch\n")
    (folder / "notes.txt").write_text("Somebody's notes.\n")
    (folder / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"content"}),)), NAME))
    (folder / "images.yaml").write_text(f"images: [{{name: '{NAME}', archive: image.tar}}]\n")
    (folder / "binary").write_bytes(bytes(range(256)) * 10)
    (folder / "deep").write_text("[" * 100_000)
    with (folder / "huge").open("wb") as file:
        file.truncate(HUGE)
    for name, target in {"loop": "loop", "dangling": "missing/x", "linked.txt": "notes.txt"}.items():
        (folder / name).symlink_to(target)
    (folder / "folder").mkdir()
    for command in (
        ("build", NAME, "--record", "build.json"),
        ("save", "build.json", "--archive", "saved.tar.gz", "--record", "save.json"),
        ("upload", "save.json", "--record", "upload.json"),
        ("register", "upload.json", "--record", "receipt.json"),
        ("lock", "receipt.json", "--lock", "images.lock.json"),
    ):
        with inside(folder):
            assert main(["--quiet", *command]) == 0, command
    return folder


def copy_project(project: Path, folder: Path) -> Path:
    """Return a copy of the project, with what cannot be copied made anew."""

    def special(where: str, names: list[str]) -> list[str]:
        return [name for name in names if name in ("huge", "pipe", "socket")]

    shutil.copytree(project, folder, symlinks=True, ignore=special)
    with (folder / "huge").open("wb") as file:
        file.truncate(HUGE)
    os.mkfifo(folder / "pipe")
    with inside(folder), socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    return folder


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in the folder, with its store, as long as the block lasts."""
    before, data = Path.cwd(), os.environ.get("SKYPORT_DATA")
    os.chdir(folder)
    os.environ["SKYPORT_DATA"] = str(folder / "store")
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("SKYPORT_DATA")
        if data is not None:
            os.environ["SKYPORT_DATA"] = data


def kept(folder: Path) -> Mapping[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


@contextmanager
def interrupted_if_it_hangs() -> Iterator[None]:
    """Send SIGINT to the command if it does not end: it ends with 130 then."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    timer = threading.Timer(PATIENCE, os.kill, (os.getpid(), signal.SIGINT))
    faulthandler.dump_traceback_later(PATIENCE - 1, file=sys.__stderr__)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def run_command(arguments: list[str], printed: Callable[[], tuple[str, str]]) -> Done:
    """Run the command in this process, with all that ends one."""
    with interrupted_if_it_hangs(), Path(os.devnull).open() as sys.stdin:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Done(code, *printed())
