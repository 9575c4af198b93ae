"""Two images side by side, and the verdict."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.comparison.file_changes import FileChanges, FileDifferences, compare_files
from skyport_wf.image.comparison.metadata import MetadataChange, compare_metadata
from skyport_wf.image.comparison.packages import PackageChange, compare_packages
from skyport_wf.image.examination.examine import ImageExamination
from skyport_wf.image.layers.file_index import FileIndex

Verdict = Literal["identical", "same contents", "drifted"]
"""One image id; one file system and config, apart from times and ids; anything else."""

_NO_CHANGES: Final = FileDifferences(FileChanges(), FileChanges(), 0, 0)


class ImageComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences between a published image and one that was built again."""

    verdict: Verdict
    published_id: str
    """The config digest."""
    rebuilt_id: str
    packages: tuple[PackageChange, ...]
    metadata: tuple[MetadataChange, ...]
    files: FileChanges
    traces: FileChanges
    """Files in which any two builds differ: logs, caches, temporary files, times that a file's format keeps."""
    ignored: int
    """Files that differ and were to be left out."""
    touched: int
    """Files and folders that differ in nothing but the time of their last change."""
    notes: tuple[str, ...]
    """Reasons why something is unknown, in sentences."""


class ComparedImage(msgspec.Struct, frozen=True):
    """One of the images."""

    found: ImageExamination
    files: FileIndex
    """Filled by the examination, contents too."""


def compare_images(
    published: ComparedImage,
    rebuilt: ComparedImage,
    *,
    ignored: Callable[[str], bool] = lambda path: False,
    ignore_traces: bool = False,
) -> ImageComparison:
    """Return the differences between the images.

    ignored: whether to leave out the file at a path, which begins with `/`.
    ignore_traces: let logs, caches and times be no reason to call the image drifted.
    Raises SkyportError if one has too many files to compare.
    """
    before, after = published.found, rebuilt.found
    same_id = before.contents.image_id == after.contents.image_id
    differences = _NO_CHANGES
    if not same_id:
        for found, which in ((before, "published"), (after, "rebuilt")):
            if found.waste is None:
                raise SkyportError(f"the {which} image cannot be compared: {'; '.join(found.notes)}.")
        differences = compare_files(published.files.shown(), rebuilt.files.shown(), ignored=ignored)
    packages = compare_packages(before.packages, after.packages)
    metadata = compare_metadata(before.config, after.config)
    counted = differences.files.total + (0 if ignore_traces else differences.traces.total)
    drifted = bool(packages or metadata or counted)
    return ImageComparison(
        verdict="identical" if same_id else "drifted" if drifted else "same contents",
        published_id=before.contents.image_id,
        rebuilt_id=after.contents.image_id,
        packages=packages,
        metadata=metadata,
        files=differences.files,
        traces=differences.traces,
        ignored=differences.ignored,
        touched=differences.touched,
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))),
    )
