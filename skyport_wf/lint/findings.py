"""Rules, and the findings that they report."""

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from skyport_wf.formatting import shortened

Level = Literal["error", "warning", "info", "style"]
"""Severity, in hadolint's words."""
LEVELS: tuple[Level, ...] = get_args(Level)
"""Worst first."""
Threshold = Literal["error", "warning", "info", "style", "none"]
"""The mildest level at which a check fails; with `none` it never does."""
THRESHOLDS: tuple[Threshold, ...] = get_args(Threshold)
DEFAULT_THRESHOLD: Threshold = "warning"
_LONGEST = 2000
"""Characters of a message: names in it are as long as a line may be."""


class Finding(msgspec.Struct, frozen=True):
    """Something that should be written otherwise."""

    line: int
    """Counted from 1."""
    code: str
    """The rule: `SKY` and three digits for ours; hadolint's `DL`, and ShellCheck's `SC`."""
    level: Level
    message: str
    """Says what is there, and why it hurts."""
    instead: str | None = None
    """Better text to write; None where the message says it."""
    source: str = "skyport-wf"
    """Whose rule it is: `skyport-wf` or `hadolint`."""
    replaces: tuple[str, ...] = ()
    """hadolint rules that this finding replaces: ignoring one of them ignores this finding."""

    def is_named_in(self, codes: Iterable[str]) -> bool:
        """Tell whether these codes name the finding's rule, or one that it replaces."""
        return not {self.code, *self.replaces}.isdisjoint(codes)


class Rule(msgspec.Struct, frozen=True):
    """A rule of ours. Why it matters, and what to write instead, stands where it is checked."""

    code: str
    level: Level
    replaces: tuple[str, ...] = ()
    """hadolint rules that find the same but know less of it; their findings are dropped."""

    def at(self, line: int, message: str, instead: str) -> Finding:
        """Return a finding of this rule; of words that have the length of a file, the beginning."""
        message, instead = (shortened(text, _LONGEST) for text in (message, instead))
        return Finding(line, self.code, self.level, message, instead, replaces=self.replaces)


def fails(finding: Finding, threshold: Threshold) -> bool:
    """Tell whether the finding is at or above the threshold."""
    return threshold != "none" and LEVELS.index(finding.level) <= LEVELS.index(threshold)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once, by line, the worst of a line first."""
    return sorted(set(findings), key=lambda one: (one.line, LEVELS.index(one.level), one.code, one.message))
