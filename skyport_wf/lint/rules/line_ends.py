"""SKY09x: line ends of Windows in a script."""

from collections.abc import Iterator

from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import is_shell_script

CARRIAGE_RETURN = Rule("SKY091", "error")
RULES = (CARRIAGE_RETURN,)


def check_line_ends(script: bytes) -> Iterator[Finding]:
    """Yield a finding if a script cannot run as its lines end in CR and LF, as on Windows."""
    lines = script.split(b"\n")
    first = next((number for number, line in enumerate(lines, 1) if line.endswith(b"\r")), None)
    if first is None:
        return
    if lines[0].startswith(b"#!") and lines[0].endswith(b"\r"):
        yield _found(1, "the kernel looks for an interpreter whose name ends in a carriage return")
    elif is_shell_script(script.decode(errors="replace")):
        yield _found(first, "to a shell, the carriage return is part of the last word of each line")


def _found(line: int, why: str) -> Finding:
    what = f"lines end in CR and LF, as on Windows: {why}"
    return CARRIAGE_RETURN.at(line, what, "LF alone (`dos2unix`, or `* text eol=lf` in `.gitattributes`)")
