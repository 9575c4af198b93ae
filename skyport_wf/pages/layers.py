"""The chart of an image's layers: how long each bar is, and the part of it that is wasted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.formatting import printable, short_command
from skyport_wf.image.examination.chart import zoom_for

if TYPE_CHECKING:
    from skyport_wf.image.contents import Layer
    from skyport_wf.pages.findings import Findings

_LARGEST: Final = 1 << 60
"""Bytes of a layer that can be counted with."""


class LayerRow(msgspec.Struct, frozen=True):
    """A layer, as a row of the chart."""

    number: int
    """The lowest is 1."""
    command: str
    """In one line; empty if the history does not say."""
    diff_id: str
    size: int
    share: float
    """Of the image's bytes, from 0 to 1."""
    length: float
    """Of the chart's longest bar, from 0 to 1."""
    wasted: int | None
    """Bytes that the image does not show; None if unknown."""
    wasted_length: float
    """The part of the bar that they take, as `length`."""
    zoom: int = 1
    """How many times as long it is shown, too, because another layer hides it; 1 if it is not."""


def layer_rows(layers: tuple[Layer, ...], findings: Findings | None, *, base: str) -> tuple[LayerRow, ...]:
    """Return the rows of the chart. base: the name of the image that the lowest layers are of, if it is known."""
    # Some images' histories say nothing of their base.
    of_base = next((at for at, layer in enumerate(layers) if layer.created_by), len(layers)) if base else 0
    # Whoever owns the node may have written any number.
    sizes = [min(max(layer.size, 0), _LARGEST) for layer in layers]
    whole, longest, zoom = sum(sizes) or 1, max(sizes, default=0) or 1, zoom_for(sizes)
    told = findings.wasted if findings and findings.wasted and len(findings.wasted) == len(layers) else None
    return tuple(
        LayerRow(
            number=at + 1,
            command=f"FROM {printable(base)}" if at < of_base else short_command(layer.created_by),
            diff_id=printable(layer.diff_id),
            size=size,
            share=size / whole,
            length=size / longest,
            wasted=told[at] if told else None,
            wasted_length=min(told[at], size) / longest if told else 0.0,
            zoom=zoom if zoom * size <= longest else 1,
        )
        for at, (layer, size) in enumerate(zip(layers, sizes, strict=True))
    )
