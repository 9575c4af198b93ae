"""Archives that images come from, as far as a workflow has to know them."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from skyport_wf.cache import cache_folder
from skyport_wf.errors import SkyportError
from skyport_wf.input_file import is_absent
from skyport_wf.pipelines.notes import read_note, short_digest, write_note


class SourceArchives:
    """The archives that images of one list come from, as files of a workflow."""

    def __init__(self, workflow: Any, images: str, *, in_job: bool) -> None:
        """Begin with nothing looked at.

        workflow: Snakemake's, whose rules may make archives. images: the real path of the list.
        in_job: whether this process is one of Snakemake's jobs, where contents do not count.
        """
        self._workflow = workflow
        self._images = images
        self._in_job = in_job
        self._paths: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    def path(self, archive: str) -> str:
        """Return the path of an archive from the working directory, if it is in there.

        It begins as that of the list, which can be named in many ways: to Snakemake, each would be another file. But a
        rule of the workflow may make it under the path that it has.
        """
        if archive not in self._paths:
            near = os.path.relpath(archive)
            is_other = near != archive and not near.startswith(os.pardir)
            is_same_file = is_other and os.path.realpath(near) == os.path.realpath(archive)
            self._paths[archive] = near if is_same_file and not self._can_make(archive) else archive
        return self._paths[archive]

    def is_missing(self, path: str) -> bool:
        """Return whether an archive is not there, and no rule of the workflow makes it."""
        return is_absent(Path(path)) and not self._can_make(path)

    def counts_by_content(self, path: str) -> bool:
        """Return whether an archive counts by its content, as one of the params, and not by its time."""
        return bool(self.digest(path))

    def digest(self, path: str) -> str:
        """Return what changes with the content of an archive; empty if a rule of the workflow may make it, or in a job.

        Before that rule has run, the content says nothing.
        """
        if path not in self._digests:
            counts = not self._in_job and not self._can_make(path)
            self._digests[path] = self._digest_content(path) if counts else ""
        return self._digests[path]

    def _can_make(self, file: str) -> bool:
        """Return whether a rule of the workflow can make a file. To be called when all rules are there."""
        return any(rule.is_producer(file) for rule in self._workflow.rules)

    @cached_property
    def _memory(self) -> Path | None:
        """The folder of known digests, None where nothing can be kept."""
        with suppress(SkyportError):
            return cache_folder("digests")
        return None

    def _digest_content(self, path: str) -> str:
        """Return what changes with the content of an archive: of one that is gone, as it was when it was there."""
        note = f"{short_digest(self._images, path)}.archive"
        known = read_note(note)
        if is_absent(Path(path)):
            return known
        digest = digest_archive(Path(path), Path(self._images), self._memory)
        if digest != known:
            write_note(note, digest.encode())
        return digest


def digest_archive(archive: Path, images: Path, memory: Path | None) -> str:
    """Return the SHA-256 of what decides which image is in an archive, in hexadecimal digits.

    Of a file, that is all of it; of an OCI layout its index, which names the rest by digests.
    images: the image list that names it. memory: the folder of known digests; large archives take longer without one.
    Empty for what is not there, cannot be read, or can be read only once: the step that needs it says so.
    """
    from skyport_wf.image.archive.folder import INDEX
    from skyport_wf.image.file_digests import digest_file

    file = archive / INDEX if os.path.isdir(archive) else archive  # noqa: PTH112 - Path raises for names too long
    with suppress(OSError):
        if os.path.isfile(file):  # noqa: PTH113 - as above
            return digest_file(file, of=images, memory=memory)
    return ""
