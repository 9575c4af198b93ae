"""Source `snapshot`: an image that a script made, in a container of its base."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skyport_wf.digests import digest_of
from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.input_file import read_bounded
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.source import Source
from skyport_wf.sources.platforms import check_platform
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output, find_base, held_base

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger(__name__)

_LARGEST = 1 << 20
"""Bytes of a script: it goes into records and into the node's attributes."""


class SnapshotSource:
    """A base image, and a script to run in a container of it."""

    work: ClassVar[str] = "make"
    cannot_be_rebuilt: ClassVar[str] = ""
    known_without_engine: ClassVar[bool] = True
    archive: Path | None = None
    dockerfile = b""

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        """Read the script. Raises UsageError if it cannot be read."""
        if spec.snapshot is None:
            raise UsageError(f"image {spec.name} is not a snapshot")
        path = folder / spec.snapshot.script
        try:
            self.script = read_bounded(path, _LARGEST)
        except OSError as error:
            raise UsageError(f"image {spec.name}: cannot read the script {path}: {error.strerror}") from error
        self.script_path = path
        self._base, self._commit = spec.snapshot.base, spec.commit
        self.used_images: tuple[str, ...] = (self._base,)

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return what the image is made from."""
        decides = {
            "base": self._base,
            "script": digest_of(self.script),
            "commit": self._commit,
            "needs": dict(needs),
        }
        text = self.script.decode(errors="replace")
        return Source(kind="snapshot", digest=digest_of(encode_json(decides)), script=text)

    def check_inputs(self) -> None:
        """Do nothing: it takes neither secrets nor SSH agents."""

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Run the script in a fresh container and commit it; the container is removed whatever happens.

        Raises PlatformError, before that, if the base is for another platform than is asked for.
        """
        from skyport_wf.engine.containers import commit_container, find_container
        from skyport_wf.engine.images import require_image
        from skyport_wf.engine.scripts import run_script

        held = held_base(self._base, bases)
        base = held.reference if held else self._base
        check_platform(spec, require_image(engine, base).platform)
        with run_script(engine, base, self.script, spec.reference, output) as (container, own):
            found = find_container(engine, container)
            if found and found.mounts:
                volumes = ", ".join(sorted(mount.destination for mount in found.mounts))
                _log.warning("not in %s: what its script has written to %s, a volume of its base", spec.name, volumes)
            image_id = commit_container(engine, container, spec.reference, self._commit, own)
        return MadeImage(image_id, find_base(engine, self._base, bases))
