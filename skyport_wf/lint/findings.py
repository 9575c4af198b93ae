"""What a check of a Dockerfile or a script finds."""

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

Level = Literal["error", "warning", "info", "style"]
"""How bad it is, in hadolint's words."""
LEVELS: tuple[Level, ...] = get_args(Level)
"""Worst first."""
Threshold = Literal["error", "warning", "info", "style", "none"]
"""From which level on a check fails; never if `none`."""
THRESHOLDS: tuple[Threshold, ...] = get_args(Threshold)
DEFAULT_THRESHOLD: Threshold = "warning"
OURS = "skyport-wf"


class Finding(msgspec.Struct, frozen=True):
    """Something that should be written otherwise."""

    line: int
    """Counted from 1."""
    code: str
    """The rule: `SKY` and three digits for ours; hadolint's `DL`, and ShellCheck's `SC`."""
    level: Level
    message: str
    """What is there, and why it hurts."""
    instead: str | None = None
    """What to write; None where the message says it."""
    source: str = OURS
    """Whose rule it is: `skyport-wf` or `hadolint`."""
    stands_for: tuple[str, ...] = ()
    """Rules of hadolint's that this one is told in place of: who ignores those, ignores this."""


def fails(finding: Finding, threshold: Threshold) -> bool:
    """Tell whether the finding is at or above the threshold."""
    return threshold != "none" and LEVELS.index(finding.level) <= LEVELS.index(threshold)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once, by line, the worst of a line first."""
    return sorted(set(findings), key=lambda one: (one.line, LEVELS.index(one.level), one.code, one.message))
