"""Leaving out findings, as comments, settings and options ask for.

    # hadolint ignore=DL3003,SKY011 # why
    RUN ...
    # hadolint global ignore=SKY002

hadolint itself takes such a comment only on the line right above the instruction, and none that names a rule which it
does not know. Here other comments and blank lines may stand between, and several such comments above one another.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.instructions import Instruction, decode_lines
from skyport_wf.lint.catalogue import REPLACED, unknown_codes
from skyport_wf.lint.findings import Finding, in_order
from skyport_wf.lint.hadolint.settings import LintSettings

_log = logging.getLogger(__name__)

_PRAGMA = re.compile(
    r"\s*#\s*hadolint\s+(?P<all>global\s+)?ignore\s*=\s*(?P<codes>[A-Za-z]+\d+(?:\s*,\s*[A-Za-z]+\d+)*)\s*(?:#.*)?$"
)


class Pragmas(msgspec.Struct, frozen=True):
    """The rules that a file's comments say not to apply."""

    everywhere: frozenset[str] = frozenset()
    at: Mapping[int, frozenset[str]] = {}
    """By the line that they are for."""


class FindingFilter(msgspec.Struct, frozen=True):
    """Leaves out findings that nobody wants reported."""

    settings: LintSettings
    ignored: frozenset[str] = frozenset()
    """Rules that are ignored beyond those that the files themselves and hadolint's settings name."""

    def apply(self, findings: Iterable[Finding], pragmas: Pragmas, *, file: str) -> tuple[Finding, ...]:
        """Return the findings to report, each with its level, in order.

        file: what the file is called in which the findings and pragmas are.
        """
        if wrong := unknown_codes(sorted(pragmas.everywhere.union(*pragmas.at.values()))):
            _log.warning("%s: a comment ignores rules that there are not: %s", file, ", ".join(wrong))
        if self.settings.disable_ignore_pragma:
            pragmas = Pragmas()
        everywhere = self.ignored.union(self.settings.ignored, pragmas.everywhere)
        return tuple(
            in_order(
                msgspec.structs.replace(found, level=self.settings.level_of(found))
                for found in findings
                if found.code not in REPLACED
                and not found.is_named_in(everywhere | pragmas.at.get(found.line, frozenset()))
            )
        )


def read_dockerfile_pragmas(content: bytes, instructions: Sequence[Instruction]) -> Pragmas:
    """Return the pragmas of a Dockerfile: each is for the whole instruction below it."""
    lines = decode_lines(content)
    everywhere: frozenset[str] = frozenset()
    at: dict[int, frozenset[str]] = {}
    above = 0
    for first, last in [*((one.line, one.last_line) for one in instructions), (len(lines) + 1, len(lines))]:
        here: frozenset[str] = frozenset()
        for codes, is_global in _pragmas(lines[above : first - 1]):
            everywhere, here = (everywhere | codes, here) if is_global else (everywhere, here | codes)
        at |= dict.fromkeys(range(first, last + 1), here) if here else {}
        above = last
    return Pragmas(everywhere, at)


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
