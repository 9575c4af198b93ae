"""Comments that say which rules not to apply: hadolint's, for our rules too.

    # hadolint ignore=DL3003,SKY011 # why
    RUN ...
    # hadolint global ignore=SKY002

hadolint itself takes a pragma only on the line right above the instruction, and none that names a rule which it does
not know. Here other comments and blank lines may stand between, and several pragmas above one another.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.findings import Finding

_PRAGMA = re.compile(
    r"\s*#\s*hadolint\s+(?P<all>global\s+)?ignore\s*=\s*(?P<codes>[A-Za-z]+\d+(?:\s*,\s*[A-Za-z]+\d+)*)\s*(?:#.*)?$"
)


class Pragmas(msgspec.Struct, frozen=True):
    """The rules that a file says not to apply."""

    everywhere: frozenset[str]
    at: Mapping[int, frozenset[str]]
    """By the line that they are for."""

    def ignored(self, finding: Finding) -> bool:
        """Tell whether the finding is one that is not to be told."""
        return is_named(finding, self.everywhere | self.at.get(finding.line, frozenset()))


def is_named(finding: Finding, codes: Collection[str]) -> bool:
    """Tell whether the finding's rule is among these, or one that it stands for."""
    return any(code in codes for code in (finding.code, *finding.stands_for))


def read_dockerfile_pragmas(lines: Sequence[str], instructions: Sequence[Instruction]) -> Pragmas:
    """Return the pragmas of a Dockerfile: each is for the whole instruction below it."""
    everywhere: set[str] = set()
    at: dict[int, frozenset[str]] = {}
    above = 0
    for instruction in instructions:
        comments = list(_pragmas(lines[above : instruction.line - 1]))
        codes = frozenset().union(*(codes for codes, is_global in comments if not is_global))
        at |= dict.fromkeys(range(instruction.line, instruction.last_line + 1), codes) if codes else {}
        everywhere |= {code for codes, is_global in comments if is_global for code in codes}
        above = instruction.last_line
    everywhere |= {code for codes, is_global in _pragmas(lines[above:]) if is_global for code in codes}
    return Pragmas(frozenset(everywhere), at)


def read_script_pragmas(lines: Sequence[str]) -> Pragmas:
    """Return the pragmas of a script: each is for the line below it."""
    found = [(number, *pragma) for number, line in enumerate(lines, 1) for pragma in _pragmas([line])]
    everywhere = frozenset(code for _, codes, is_global in found if is_global for code in codes)
    return Pragmas(everywhere, {number + 1: codes for number, codes, is_global in found if not is_global})


def _pragmas(lines: Sequence[str]) -> Iterator[tuple[frozenset[str], bool]]:
    """Yield the rules that each pragma names, and whether it is for the whole file."""
    for line in lines:
        if "hadolint" in line and (match := _PRAGMA.match(line)):
            yield frozenset(code.strip() for code in match["codes"].split(",")), bool(match["all"])
