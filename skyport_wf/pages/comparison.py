"""Two images side by side: what their nodes say of them, and their packages as far as those are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.formatting import human_size
from skyport_wf.image.comparison.packages import compare_packages
from skyport_wf.image.examination.report import KINDS

if TYPE_CHECKING:
    from skyport_wf.pages.details import ImageDetails
    from skyport_wf.pages.entries import ImageEntry
    from skyport_wf.pages.findings import Findings
    from skyport_wf.pages.layers import LayerRow

_CONTEXT = 3
"""Lines of a Dockerfile around a change."""
_PASSED_OVER = frozenset({"Node", "MD5 of the file", "Node changed", "Source digest"})
"""Facts that differ between any two nodes, and tell people nothing."""
_OF_CONTENTS = frozenset({"System", "AWE"})
"""Facts that are known only of an image that was looked into."""


class ComparedFact(msgspec.Struct, frozen=True):
    """One thing that is known of both images; empty where it is not known of one."""

    name: str
    old: str
    new: str


class Comparison(msgspec.Struct, frozen=True):
    """Two images."""

    old: ImageEntry
    new: ImageEntry
    is_same: bool
    """Whether both are the same image."""
    facts: tuple[ComparedFact, ...]
    packages: tuple[ComparedFact, ...] | None
    """Those that differ; None if they are not known of both."""
    shared_layers: int
    shared_size: int
    """Bytes of the layers that both have."""
    old_layers: tuple[LayerRow, ...]
    """Layers that only the old one has."""
    new_layers: tuple[LayerRow, ...]
    dockerfile: tuple[str, ...]
    """Lines, each begun with `+`, `-` or a space; none if both are alike."""
    has_dockerfile: bool


def compare(old: ImageDetails, new: ImageDetails, findings: tuple[Findings | None, Findings | None]) -> Comparison:
    """Return how two images differ. findings: what is known of their contents, in the same order."""
    ours, theirs = ({layer.diff_id for layer in image.layers} for image in (old, new))
    shared = [layer for layer in new.layers if layer.diff_id in ours]
    before, after = findings
    return Comparison(
        old=old.entry,
        new=new.entry,
        is_same=old.image_id == new.image_id,
        facts=tuple(_facts(old, new, without=_PASSED_OVER if before and after else _PASSED_OVER | _OF_CONTENTS)),
        packages=_packages(before, after) if before and after else None,
        shared_layers=len(shared),
        shared_size=sum(layer.size for layer in shared),
        old_layers=tuple(layer for layer in old.layers if layer.diff_id not in theirs),
        new_layers=tuple(layer for layer in new.layers if layer.diff_id not in ours),
        dockerfile=tuple(_changes(old.dockerfile, new.dockerfile)),
        has_dockerfile=bool(old.dockerfile or new.dockerfile),
    )


def _facts(old: ImageDetails, new: ImageDetails, *, without: frozenset[str]) -> Iterator[ComparedFact]:
    yield ComparedFact("To download", human_size(old.entry.size), human_size(new.entry.size))
    yield ComparedFact("Unpacked", human_size(old.size), human_size(new.size))
    for before, after in ((old.facts, new.facts), (old.origin, new.origin), (old.labels, new.labels)):
        ours, theirs = ({fact.name: fact.value for fact in facts} for facts in (before, after))
        for name in {**ours, **theirs}:
            if name not in without:
                yield ComparedFact(name, ours.get(name, ""), theirs.get(name, ""))


def _packages(before: Findings, after: Findings) -> tuple[ComparedFact, ...]:
    return tuple(
        ComparedFact(f"{change.name} ({KINDS[change.kind]})", change.published or "", change.rebuilt or "")
        for change in compare_packages(before.packages, after.packages)
    )


def _changes(old: str, new: str) -> Iterator[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=_CONTEXT, lineterm="")
    # The first two name files.
    for number, line in enumerate(lines):
        if number > 1:
            yield line
