"""Findings in CWL documents, by how bad they are for AWE."""

from typing import Literal, get_args

import msgspec

CwlLevel = Literal["failure", "loss", "note"]
"""A job that is rejected, fails or has a wrong result; something of weight that is lost; something harmless."""
CWL_LEVELS: tuple[CwlLevel, ...] = get_args(CwlLevel)
"""Worst first."""
CwlThreshold = Literal["failure", "loss", "note", "none"]
"""The mildest level at which a check fails; with `none` it never does."""
CWL_THRESHOLDS: tuple[CwlThreshold, ...] = get_args(CwlThreshold)
DEFAULT_CWL_THRESHOLD: CwlThreshold = "loss"


class CwlFinding(msgspec.Struct, frozen=True, order=True):
    """Something in a document that AWE will not take as it is meant."""

    line: int
    where: str
    """The path inside the document, such as `steps.build.requirements`."""
    level: CwlLevel
    message: str


def cwl_fails(finding: CwlFinding, threshold: CwlThreshold) -> bool:
    """Tell whether the finding is at or above the threshold."""
    return threshold != "none" and CWL_LEVELS.index(finding.level) <= CWL_LEVELS.index(threshold)
