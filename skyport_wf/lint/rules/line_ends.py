"""SKY09x: scripts that were saved as on Windows, with line ends or a byte order mark that are kept as they are."""

import codecs
import posixpath
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path

from skyport_wf.image.dockerfile import copy_arguments
from skyport_wf.image.ignoring.go_patterns import BadPatternError, glob_matcher
from skyport_wf.image.instructions import Instruction
from skyport_wf.image.variables import expand
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import is_shell_script, script_heredocs

CARRIAGE_RETURN = Rule("SKY091", "error")
SPOILT_FILE = Rule("SKY092", "warning")
RULES = (CARRIAGE_RETURN, SPOILT_FILE)

_MARK = "\ufeff"
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MOST_FILES = 2000
"""Files of a folder that are looked into."""
_FIRST_LINE = 256
"""Bytes of a file that the kernel looks at for an interpreter (BINPRM_BUF_SIZE)."""
_MENDED = re.compile(r"dos2unix|fromdos|\\r|\\015|\\xef|\\xEF")
"""Stands in what takes carriage returns, or the mark, off files that have been copied."""


def check_encoding(content: bytes) -> Iterator[Finding]:
    """Yield a finding if a Dockerfile or script is in UTF-16, as PowerShell writes files."""
    if content.startswith(tuple(_UTF_16)):
        what = "the file is in UTF-16, as PowerShell writes files: neither docker nor a shell can read it"
        yield CARRIAGE_RETURN.at(1, what, "the file as UTF-8")


def check_line_ends(script: str, *, line: int = 1) -> Iterator[Finding]:
    """Yield a finding if a script cannot run as its lines end in CR and LF, as on Windows.

    line: the one that it begins on.
    """
    if script.startswith(_MARK):
        why = "the system sees no `#!` behind it, and a shell takes it for part of the first word"
        what = f"a byte order mark stands before the script, as of an editor on Windows: {why}"
        yield CARRIAGE_RETURN.at(line, what, "the script as UTF-8 without it (`sed -i '1s/^\\xef\\xbb\\xbf//'`)")
    lines = script.split("\n")
    first = next((number for number, text in enumerate(lines, line) if text.endswith("\r")), None)
    if first is None:
        return
    if _has_spoilt_interpreter(script.removeprefix(_MARK)):
        yield _found(line, "the kernel looks for an interpreter whose name ends in a carriage return")
    elif is_shell_script(script):
        yield _found(first, "to a shell, the carriage return is part of the last word of each line")


def check_line_ends_of_heredocs(instruction: Instruction) -> Iterator[Finding]:
    """Yield a finding for each heredoc of an instruction that is a script, and cannot run for its line ends."""
    if instruction.name == "RUN":
        scripts = script_heredocs(instruction)
    else:
        # A file without `#!` may be anything.
        scripts = tuple(heredoc for heredoc in instruction.heredocs if _has_spoilt_interpreter(heredoc.text))
    for heredoc in scripts:
        yield from check_line_ends(heredoc.text, line=heredoc.line)


def check_copied_scripts(
    instruction: Instruction, values: Mapping[str, str], root: Path, files: Collection[str]
) -> Iterator[Finding]:
    """Yield the scripts that a `COPY` or `ADD` takes from the context, and that no system starts.

    files: the paths in the context, of folders too.
    """
    options, paths = copy_arguments(instruction.value)
    if any(option.startswith("--from=") for option in options):
        return
    # What a shell or Python is told to run needs no first line.
    are_programs = "bin" in paths[-1].split("/") if paths else False
    are_programs |= any(option.startswith("--chmod=") for option in options)
    for written in paths[:-1]:
        path = posixpath.normpath("/" + expand(written, values, unknown=True)).lstrip("/")
        for file in islice(_taken(path, files), _MOST_FILES):
            if why := _why_it_does_not_start(root / file, is_program=are_programs):
                what = f"`{file}` was saved as on Windows: {why}"
                yield SPOILT_FILE.at(instruction.line, what, "the file as UTF-8, without a mark, and with LF alone")


def mends_scripts(instruction: Instruction) -> bool:
    """Tell whether an instruction seems to mend scripts that have been copied."""
    texts = (instruction.value, *(heredoc.text for heredoc in instruction.heredocs))
    return instruction.name == "RUN" and any(map(_MENDED.search, texts))


def _taken(path: str, files: Collection[str]) -> Iterator[str]:
    """Yield what a source of a `COPY` means, with what is below it."""
    named = {path}
    if path and path not in files:
        try:
            named = set(filter(glob_matcher(path), files))
        except BadPatternError:
            return
    for file in files:
        folders = (file[: at.start()] for at in re.finditer("/", file))
        if "" in named or file in named or not named.isdisjoint(folders):
            yield file


def _why_it_does_not_start(path: Path, *, is_program: bool) -> str:
    """Return why a script does not start, empty if it does, or is none.

    is_program: whether it is to be started by its name, whatever its mode.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return ""
        with path.open("rb") as file:
            first, end, _ = file.read(_FIRST_LINE).partition(b"\n")
    except OSError:
        return ""
    is_program |= bool(status.st_mode & 0o111)
    if is_program and first.startswith(codecs.BOM_UTF8 + b"#!"):
        return "the system sees no `#!` behind the byte order mark, and a shell runs it, whatever it is"
    if any(first.startswith(mark + "#!".encode(name)) for mark, name in _UTF_16.items()):
        return "it is in UTF-16, which neither the system nor a shell can read"
    is_spoilt = first.startswith(b"#!") and end and first.endswith(b"\r")
    if is_spoilt and (is_program or is_shell_script(first.rstrip().decode(errors="replace"))):
        return "its first line names an interpreter whose name ends in a carriage return"
    return ""


def _has_spoilt_interpreter(script: str) -> bool:
    return script.startswith("#!") and script.partition("\n")[0].endswith("\r")


def _found(line: int, why: str) -> Finding:
    what = f"lines end in CR and LF, as on Windows: {why}"
    return CARRIAGE_RETURN.at(line, what, "LF alone (`dos2unix`, or `* text eol=lf` in `.gitattributes`)")
