"""Commands in processes that are forked from one that has imported what they need, instead of each being started anew.

A start of `skyport-wf` takes 0.2 s of a processor, most of it for imports, and the tests start it more than a thousand
times; Snakemake and cwltool take longer. A forked command is a process like another: it has arguments, variables, a
folder, streams and an exit code of its own, and signals reach it. Starting itself is tested with real starts: of
`skyport-wf` in tests/unit/cli, of Snakemake in tests/e2e/test_examples.py, of cwltool in
tests/integration/test_engines.py.

Run as a program, with the name of a command, this is the process that forks. It reads from the socket on its standard
input what is to be run.
"""

import atexit
import gc
import importlib
import importlib.metadata
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGEST_COMMAND = 1 << 20
LIBRARIES = {
    "skyport-wf": (
        "cheroot.wsgi", "docker", "platformdirs.unix", "requests", "rich.progress", "tabulate", "tenacity", "werkzeug",
    ),
    "snakemake": (
        "reretry", "smart_open", "snakemake.cli", "snakemake.report.html_reporter", "sysrsync", "tabulate",
    ),
    # Not cwltool's own modules: when they are imported they see where temporary files go, which is for each run to say.
    "cwltool": (
        "argcomplete", "asyncio", "cachecontrol.caches", "coloredlogs", "cwl_utils.parser.utils",
        "cwl_utils.singularity", "filelock", "mistune", "packaging.version", "prov.model", "psutil", "pydot",
        "rdflib.plugins.stores.memory", "requests", "rich.table", "rich_argparse", "ruamel.yaml",
        "schema_salad.ref_resolver", "schema_salad.schema",
    ),
}  # fmt: skip
"""The commands that can be forked, and what each imports that is not ours."""


class ForkServer:
    """Forks a command; one for each command is enough for all tests of a process."""

    def __init__(self, program: str) -> None:
        # Whole messages, as each brings its file descriptors with it.
        self._commands, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._commands.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_COMMAND)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, program], stdin=theirs, cwd=Path(__file__).parents[2]
            )

    def fork(
        self, arguments: list[str], *, folder: Path, variables: dict[str, str], streams: tuple[int, int, int]
    ) -> int:
        """Fork a command; return a descriptor from which come its process id and, when it has ended, its exit code."""
        told, tell = os.pipe()
        command = json.dumps({"arguments": arguments, "folder": str(folder), "variables": variables}).encode()
        try:
            socket.send_fds(self._commands, [command], [*streams, tell])
        finally:
            os.close(tell)
        return told


def serve(program: str, commands: socket.socket) -> None:
    """Fork a command for each message, and tell each one's end, until the socket is closed."""
    # A signal whose handler is in Python interrupts nothing but this wakes `select`.
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=program)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([commands, ended], [], [])
        if ended in readable:
            os.read(ended, 4096)
            tell_ends(running)
        if commands in readable:
            message, descriptors, _, _ = socket.recv_fds(commands, LARGEST_COMMAND, 4)
            if not message:
                return
            *streams, tell = descriptors
            pid = os.fork()
            if not pid:
                commands.close()
                become(entry, json.loads(message), streams)
            for stream in streams:
                os.close(stream)
            os.write(tell, b"%d\n" % pid)
            running[pid] = tell


def tell_ends(running: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            tell = running.pop(pid)
            with suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(tell, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(tell)


def become(entry: importlib.metadata.EntryPoint, command: dict[str, Any], streams: list[int]) -> None:
    """Be the command in this process, as its entry point would, and end with it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["variables"])
    tempfile.tempdir = None  # some library has asked for it, and it may be elsewhere
    path = Path(sys.executable).with_name(entry.name)
    sys.argv = [str(path), *command["arguments"]]
    sys.path[0] = str(path.parent)
    try:
        sys.exit(entry.load()())
    except SystemExit as end:
        code = end.code
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # To take apart all that the process has imported would copy the memory of the one that it was forked from.
    os._exit(code if isinstance(code, int) else int(code is not None))


def main(program: str) -> None:
    import skyport_wf

    for module in pkgutil.walk_packages(skyport_wf.__path__, "skyport_wf."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for library in LIBRARIES[program]:
        importlib.import_module(library)
    # A collection in each command would copy the memory that all share.
    gc.freeze()
    # Ctrl-C is for the tests, which close the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as commands:
        serve(program, commands)


if __name__ == "__main__":
    main(sys.argv[1])
