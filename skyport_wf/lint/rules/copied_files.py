"""SKY07x: files that a `COPY` or `ADD` names and the build context lacks."""

import posixpath
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from skyport_wf.image.dockerfile import copy_arguments
from skyport_wf.image.ignoring.go_patterns import BadPatternError, glob_matcher
from skyport_wf.image.instructions import Instruction
from skyport_wf.image.variables import expand
from skyport_wf.input_file import exists
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.rules.downloads import URL
from skyport_wf.lint.rules.git_clones import is_added_repository

NOT_THERE = Rule("SKY071", "error")
IGNORED = Rule("SKY072", "error")
BAD_IGNORE_FILE = Rule("SKY073", "error")
NOTHING_MATCHES = Rule("SKY074", "warning")
RULES = (NOT_THERE, IGNORED, BAD_IGNORE_FILE, NOTHING_MATCHES)
_INSTEAD = "a path as it is seen from the context's folder"


def check_copied_files(
    instruction: Instruction, values: Mapping[str, str], root: Path, files: Collection[str]
) -> Iterator[Finding]:
    """Yield the sources of a `COPY` or `ADD` that no file of the context matches.

    root: the context's folder.
    files: the paths in the context, of folders too.
    """
    options, paths = copy_arguments(instruction.value)
    if any(option.startswith("--from=") for option in options):
        return
    for written in paths[:-1]:
        source = expand(written, values, unknown=True)
        if "$" in source or source.startswith("<<") or URL.match(source) or is_added_repository(source):
            continue
        # All paths are seen from the context's folder, and none leads out of it.
        path = posixpath.normpath("/" + source).lstrip("/")
        if not path or path in files or _is_below_link(root, path):
            continue
        if any(char in path for char in "*?[\\"):
            yield from _check_pattern(instruction, written, path, files)
        elif exists(root / path):
            what = f"`{written}` is no part of the context, as `.dockerignore` excludes it: the build fails"
            yield IGNORED.at(instruction.line, what, f"`!{path}` at the end of `.dockerignore`")
        else:
            same = next((other for other in files if other.lower() == path.lower()), None)
            instead = f"`{same}`" if same else _INSTEAD
            yield NOT_THERE.at(instruction.line, f"`{written}` is not in the context: the build fails", instead)


def _check_pattern(instruction: Instruction, written: str, path: str, files: Collection[str]) -> Iterator[Finding]:
    """Yield a pattern that no file matches. `path` is the pattern as it is seen from the context's folder."""
    try:
        matches = glob_matcher(path)
    except BadPatternError:
        what = f"the pattern `{written}` is malformed, so that no file of the context matches it"
        yield NOTHING_MATCHES.at(instruction.line, what, "a pattern such as `[a-z]*`; `[[]` is a bracket")
        return
    if not any(map(matches, files)):
        what = f"no file of the context matches `{written}`: BuildKit copies nothing, the classic builder fails"
        yield NOTHING_MATCHES.at(instruction.line, what, _INSTEAD)


def _is_below_link(root: Path, path: str) -> bool:
    """Tell whether a folder on the way is a link, which the engine follows inside the context."""
    folders = path.split("/")[:-1]
    return any((root / "/".join(folders[: depth + 1])).is_symlink() for depth in range(len(folders)))
