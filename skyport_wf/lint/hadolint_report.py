"""What hadolint is given, and what it says."""

from collections.abc import Sequence

import msgspec

from skyport_wf.image.instructions import Instruction, decode_lines
from skyport_wf.lint.findings import Finding, Level
from skyport_wf.lint.rules import TOLD_BY_US


class _Told(msgspec.Struct, frozen=True):
    """One of hadolint's findings, in its JSON."""

    line: int
    code: str
    level: Level
    message: str


def text_for_hadolint(content: bytes, instructions: Sequence[Instruction]) -> tuple[str, list[int]]:
    """Return the Dockerfile as hadolint can read it, and for each line of that which one it is in the file.

    hadolint takes what follows a heredoc for a mistake unless it is blank (hadolint/hadolint#960): blank lines are put
    in.
    """
    ends = {one.last_line for one in instructions if one.heredocs}
    lines: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(decode_lines(content), 1):
        lines.append(line)
        numbers.append(number)
        if number in ends:
            lines.append("")
            numbers.append(number)
    return "\n".join(lines), numbers


def read_hadolint(output: bytes, numbers: Sequence[int]) -> list[Finding]:
    """Return hadolint's findings, without those that a rule of ours tells better.

    output: its JSON.
    numbers: as `text_for_hadolint` gave them.
    Raises ValueError if it is something else.
    """
    return [
        Finding(_line(told.line, numbers), told.code, told.level, told.message.strip(), source="hadolint")
        for told in msgspec.json.decode(output, type=list[_Told])
        if told.code not in TOLD_BY_US
    ]


def _line(line: int, numbers: Sequence[int]) -> int:
    return numbers[min(max(line, 1), len(numbers)) - 1] if numbers else line
