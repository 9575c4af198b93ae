"""The images of a lock file, for pipelines that use what others have published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.place import DEFAULT_LIST, LOCK_NAME, list_in
from skyport_wf.input_file import exists, is_absent
from skyport_wf.pipelines.checks import check_folders, check_keys
from skyport_wf.pipelines.notes import read_plan
from skyport_wf.pipelines.rules import ImageRules
from skyport_wf.records.plan import PlannedImage

if TYPE_CHECKING:
    from skyport_wf.records.receipt import LockedImage


class LockedRules(ImageRules):
    """Images that are taken as the lock file has them: nothing is built or written but receipts."""

    builds = False

    def _find_files(self) -> tuple[str, str]:
        """Return the paths as the settings have them; a list that they do not name counts beside the lock file only."""
        if self.settings.images is not None:
            return super()._find_files()
        lock = Path(self.settings.lock or LOCK_NAME)
        return str(list_in(lock.parent) or lock.parent / DEFAULT_LIST), str(lock)

    def _origin(self) -> str:
        return self.lock.path

    def _plan(self) -> list[PlannedImage]:
        """Read the lock file.

        Raises UsageError if it is not there, is none, or has two names that make the same files.
        """
        from skyport_wf.image_list.reference import parse_reference
        from skyport_wf.image_list.spec import check_shock_url
        from skyport_wf.records.files import read_record
        from skyport_wf.records.receipt import LockFile

        if is_absent(Path(self.origin)):
            raise UsageError(
                f"there is no lock file {self.origin}. It comes with the images: whoever publishes them commits it. "
                "The setting `lock` names it."
            )
        try:
            lock = read_record(Path(self.origin), LockFile)
        except SkyportError as error:
            raise UsageError(str(error)) from error
        try:
            keys = {name: parse_reference(name).key for name in lock.images}
        except UsageError as error:
            raise UsageError(f"the lock file {self.origin}: {error}") from error
        self._shocks = {
            check_shock_url(entry.shock, where=f"the lock file {self.origin}, the shock of {name}")
            for name, entry in lock.images.items()
        }
        names_by_key: dict[str, str] = {}
        for name, key in keys.items():
            if (other := names_by_key.setdefault(key, name)) != name:
                raise UsageError(
                    f"the lock file {self.origin} has {other} and {name}, which make the same file name {key!r}. "
                    "Publish one of them under another name."
                )
        before = {image.name: image.digest for image in read_plan(self.plan_note) or ()}
        return [
            PlannedImage(
                name=name, key=keys[name], source="archive", digest=_digest(entry, before.get(name)),
                notes="", needs=(), base=None, archive=None,
            )
            for name, entry in lock.images.items()
        ]  # fmt: skip

    def _check(self) -> None:
        """Raise UsageError for a lock file that lacks images of its list, or is of another Shock."""
        from skyport_wf.image_list.urls import one_spelling

        check_keys(self.planned.values())
        check_folders(self.places.by_pathvar, self.planned)
        asked, from_where = one_spelling(os.environ.get("SHOCK_URL", "")), "the variable SHOCK_URL"
        if exists(Path(self.images)):
            from skyport_wf.image_list.images_yaml import read_image_list

            images = read_image_list(Path(self.images))
            if missing := [image.name for image in images.images if not self.has(image.name)]:
                raise UsageError(
                    f"the lock file {self.origin} lacks {', '.join(missing)}, which {self.images} has. Publish them, "
                    "or take the lock file anew."
                )
            if not asked:
                asked, from_where = one_spelling(images.shock.url), self.images
        if asked and (others := sorted(self._shocks - {asked})):
            raise UsageError(
                f"the lock file {self.origin} is about {', '.join(others)}, and {from_where} says {asked}."
            )


def _digest(entry: LockedImage, before: str | None) -> str:
    """Return what changes with the image and its node, and not with what else the entry says, such as its registry.

    before: what this was when the lock file was read last. Versions before took the whole entry: while that is the
    same, its digest stays, so that no analysis runs again.
    """
    from skyport_wf.digests import digest_of
    from skyport_wf.records.encoding import encode_json

    whole = digest_of(encode_json(entry))
    if whole == before:
        return whole
    return digest_of(encode_json((entry.image_id, entry.shock.rstrip("/"), entry.node, entry.md5)))
