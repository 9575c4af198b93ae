"""The differences between two images, read from their archives; no engine is needed, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from skyport_wf.image.comparison.comparison import ComparedImage, ImageComparison, compare_images
from skyport_wf.image.layers.file_index import FileIndex

if TYPE_CHECKING:
    from skyport_wf.inspection.image_source import ImageSource


def compare_sources(
    first: ImageSource,
    second: ImageSource,
    *,
    ignored: Callable[[str], bool] = lambda path: False,
    ignore_traces: bool = False,
) -> ImageComparison:
    """Return what differs; the first image stands where a published one does, the second for one built again.

    ignored, ignore_traces: as for `compare_images`.
    Raises SkyportError if one has too many files to compare, and what reading them raises.
    """
    with FileIndex(with_contents=True) as before, FileIndex(with_contents=True) as after:
        return compare_images(
            ComparedImage(first.examine(before), before),
            ComparedImage(second.examine(after), after),
            ignored=ignored,
            ignore_traces=ignore_traces,
        )
