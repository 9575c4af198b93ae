"""SKY06x: what a build or a script writes where it may be lost: into a volume, or a file that is the engine's."""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping

from skyport_wf.image.dockerfile import copy_arguments
from skyport_wf.image.instructions import Instruction
from skyport_wf.image.variables import expand
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import Invocation

WRITTEN_IN_BUILD = Rule("SKY061", "warning")
WRITTEN_IN_SNAPSHOT = Rule("SKY062", "warning")
WRITTEN_TO_ENGINES_FILE = Rule("SKY063", "warning")
RULES = (WRITTEN_IN_BUILD, WRITTEN_IN_SNAPSHOT, WRITTEN_TO_ENGINES_FILE)

_READERS = frozenset(
    {"cat", "cd", "cmp", "df", "diff", "du", "echo", "egrep", "export", "false", "fgrep", "file", "find", "grep",
     "head", "id", "ls", "md5sum", "popd", "printf", "pushd", "pwd", "readlink", "realpath", "set", "sha256sum", "stat",
     "tail", "test", "true", "type", "wc", "which", "[", "[["}
)  # fmt: skip
"""Programs that change no file that they are given, but may send their output to one."""
_COPIERS = frozenset({"cp", "install", "ln", "rsync"})
"""Programs that write to their last argument only."""
_ENGINES_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
"""Files that an engine lays over those of an image wherever something runs in it."""


def declared_volumes(instruction: Instruction, values: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the paths that a `VOLUME` declares, as far as they are known."""
    if instruction.name == "VOLUME":
        _, paths = copy_arguments(instruction.value)
        for path in (expand(path, values, unknown=True) for path in paths):
            if path.startswith("/"):
                yield posixpath.normpath(path)


def check_volumes_in_build(
    calls: Iterable[Invocation], volumes: Mapping[str, int], folder: str, values: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what a `RUN` writes into volumes: the classic builder drops it, and nobody chose which builder it is.

    volumes: the line that declares each, 0 for those of the base image.
    folder: the working directory.
    """
    for line, volume in _writes(calls, tuple(volumes), folder, values):
        since = f"since line {volumes[volume]}" if volumes[volume] else "of the base image"
        what = f"`{volume}` is a VOLUME {since}: what is written there is lost with the classic builder"
        instead = "write there before the `VOLUME`, or leave that out: AWE needs none"
        yield WRITTEN_IN_BUILD.at(line, f"{what}, and kept by BuildKit", instead)


def check_volumes_in_snapshot(calls: Iterable[Invocation], volumes: Collection[str]) -> Iterator[Finding]:
    """Yield what a script writes into volumes of its base: it stays out of the snapshot."""
    for line, volume in _writes(calls, volumes, "/", {}):
        what = f"`{volume}` is a VOLUME of the base: what is written there is no part of the snapshot"
        yield WRITTEN_IN_SNAPSHOT.at(line, what, "write elsewhere, or start from a base without that volume")


def check_engines_files(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what a `RUN` or a script writes to files that the engine makes for each container."""
    for call in calls:
        edits = call.program == "sed" and any(text.startswith(("-i", "--in-place")) for text in call.texts)
        given = call.texts[-1:] if edits or call.program in {*_COPIERS, "mv", "tee"} else ()
        paths = {posixpath.normpath(expand(text, values, unknown=True)) for text in (*given, *call.writes)}
        for path in sorted(paths & _ENGINES_FILES):
            what = (
                f"`{path}` is the engine's own wherever something runs: what is written there is no part of the image"
            )
            instead = "leave that out: each container gets this file from its engine, whatever the image has"
            yield WRITTEN_TO_ENGINES_FILE.at(call.line, what, instead)


def _writes(
    calls: Iterable[Invocation], volumes: Collection[str], folder: str, values: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """Yield line and volume of each command that seems to write into one."""
    for call in calls if volumes else ():
        texts = [expand(text, values, unknown=True) for text in call.texts]
        if call.program == "cd" and texts:
            folder = posixpath.join(folder, texts[0])
        given = [] if call.program in _READERS else texts[-1:] if call.program in _COPIERS else texts
        # A path may be part of an option: `--prefix=/data`, `of=/data/x`.
        paths = [text.rpartition("=")[2] for text in given if not text.startswith("-") or "=" in text]
        # Where a program works in a volume, it may write there without naming it.
        paths += [folder] if call.program and call.program not in _READERS else []
        paths += [expand(file, values, unknown=True) for file in call.writes]
        for path in (posixpath.normpath(posixpath.join(folder, path)) for path in paths):
            volume = next((one for one in volumes if path == one or path.startswith(f"{one}/")), None)
            if volume:
                yield call.line, volume
                break
