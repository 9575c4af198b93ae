"""The third step: the archive on a node that nobody finds by its name yet, and that expires by itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.name_state import decide_now, wanted_image
from skyport_wf.publication.published import find_published, require_readable
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord
from skyport_wf.transfer.parts import range_of_file, unreadable
from skyport_wf.transfer.unfinished import ProgressFile
from skyport_wf.transfer.upload import upload_file

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
_log = logging.getLogger(__name__)


def upload(
    record: SaveRecord,
    archive: Path,
    shock: Shock,
    *,
    progress_file: Path | None = None,
    progress: Progress = UNSEEN,
) -> UploadRecord:
    """Send the archive, unless Shock has the image under its name already.

    archive: the file that the record tells of.
    progress_file: where to remember a large upload that is interrupted, so that the next call goes on with it.
    progress: called with the number of bytes of each piece sent.
    Raises TemporaryError if it cannot be sent, or arrives as something else.
    """
    build = record.build
    remembered = ProgressFile(progress_file)
    if build.published or record.saved is None:
        published = check_published(build, shock)
        remembered.remove()
        return UploadRecord(build=build, saved=None, node=published, url=shock.url)
    wanted = wanted_image(build, image_id=record.saved.contents.image_id)
    # The base of a thin image is asked for when the name is taken: it may be published in between.
    if same := decide_now(shock, wanted, base_comes=True).names.same:
        require_readable(shock, same)
        _log.info("%s is published already (node %s), nothing to send", build.name, same.id)
        remembered.remove()
        return UploadRecord(build=build, saved=record.saved, node=same.id, url=shock.url)
    _check_size(archive, record.saved.digests)
    uploaded = upload_file(shock, build, range_of_file(archive), record.saved, remembered=remembered, progress=progress)
    remembered.remove()
    return uploaded


def check_published(build: BuildRecord, shock: Shock) -> str:
    """Return the id of the node that the build step found. Raises SkyportError if Shock has lost it, or its file."""
    found = find_published(shock.user, build.name) if build.published else []
    if there := next((node for node in found if node.id == build.published), None):
        require_readable(shock, there)
        return there.id
    raise SkyportError(
        f"{build.name}: the build step found it published on node {build.published}, but {shock.name} does not have it "
        "now. Run `skyport-wf build` again (with Snakemake: remove its build.json)."
    )


def _check_size(archive: Path, digests: ArchiveDigests) -> None:
    """Raise SkyportError if the file is not what its record says, UsageError if it cannot be read."""
    try:
        size = archive.stat().st_size
    except OSError as error:
        raise unreadable(archive, error) from error
    if size != digests.size:
        raise SkyportError(f"{archive} has {size} bytes, its record says {digests.size}. Run `skyport-wf save` again.")
