"""An image that was saved to a file."""

from pathlib import Path

from skyport_wf.errors import UsageError
from skyport_wf.records.records import Source
from skyport_wf.sources.listed import ListedImage


def find_archive(image: ListedImage) -> Path:
    """Return the file's absolute path. Raises UsageError if there is no such file."""
    path = (image.folder / (image.spec.archive or "")).absolute()
    if not path.is_file():
        raise UsageError(f"image {image.spec.name}: there is no archive {path}. Mend `archive` in the image list.")
    return path


def describe(image: ListedImage) -> Source:
    """Return which image the file holds. Raises ArchiveError if it does not hold exactly one, whole."""
    from skyport_wf.image.archive.archive_file import open_archive
    from skyport_wf.image.archive.reader import inspect_archive

    with open_archive(find_archive(image)) as stream:
        return Source(kind="archive", digest=inspect_archive(stream).image_id)
