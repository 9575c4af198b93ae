"""SKY09x: line ends of Windows in a script: that of a snapshot, or a heredoc, which a builder keeps as it is."""

from collections.abc import Iterator

from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import is_shell_script, script_heredocs

CARRIAGE_RETURN = Rule("SKY091", "error")
RULES = (CARRIAGE_RETURN,)


def check_line_ends(script: str, *, line: int = 1) -> Iterator[Finding]:
    """Yield a finding if a script cannot run as its lines end in CR and LF, as on Windows.

    line: the one that it begins on.
    """
    lines = script.split("\n")
    first = next((number for number, text in enumerate(lines, line) if text.endswith("\r")), None)
    if first is None:
        return
    if _has_spoilt_interpreter(script):
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


def _has_spoilt_interpreter(script: str) -> bool:
    return script.startswith("#!") and script.partition("\n")[0].endswith("\r")


def _found(line: int, why: str) -> Finding:
    what = f"lines end in CR and LF, as on Windows: {why}"
    return CARRIAGE_RETURN.at(line, what, "LF alone (`dos2unix`, or `* text eol=lf` in `.gitattributes`)")
