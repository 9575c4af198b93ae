"""The lock file of an image list, in a workflow whose lists may share one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.input_file import is_absent
from skyport_wf.output_file import behind_links
from skyport_wf.pipelines.checks import check_lock, check_lock_place, is_writable
from skyport_wf.pipelines.notes import note_path, read_note, read_plan, short_digest, write_note

if TYPE_CHECKING:
    from skyport_wf.pipelines.rules import ImageRules
    from skyport_wf.records.receipt import LockedImage


class ListLock:
    """The lock file of one list, for the rules of one module or pipeline."""

    def __init__(self, path: str, rules: ImageRules, *, stored: bool) -> None:
        """Take the lock file at `path`.

        rules: those of the list.
        stored: whether receipts are in a storage of Snakemake's, and not on this disk.
        """
        self.path = path
        self._rules = rules
        self._stored = stored
        self._locked: dict[str, LockedImage] = {}
        """The images that it has before anything runs."""

    def check(self) -> None:
        """Read it. Raises UsageError if it cannot be used, which would be said when images are built and sent already.

        One that cannot be written has to have all images.
        """
        lists = [self._rules.images, *(other.images for other in self._rules.before)]
        self._locked = check_lock(self.path, () if self.is_writable else self._rules.names, lists)
        check_lock_place(self.path, self._rules.places.written, self._rules.planned)

    def is_written(self, path: str) -> bool:
        """Return whether the rules of the list write into a lock file, which is this one then."""
        return self._rules.builds and os.path.realpath(self.path) == os.path.realpath(path)

    @cached_property
    def is_writable(self) -> bool:
        """Whether its folder can be written to, and it is not protected: of a link, what that leads to."""
        path = behind_links(Path(self.path))
        # Snakemake refuses to run what would write a file that may not be written to.
        return is_writable(path.parent) and (is_absent(path) or os.access(path, os.W_OK))

    @cached_property
    def is_output(self) -> bool:
        """Whether it is an output of this list's rules; not if an earlier list has it, or if it cannot be written."""
        return self.is_writable and (self._owner is self or self._owner._rules.is_same_list(self._rules))

    @cached_property
    def _owner(self) -> ListLock:
        """The lock file of the first list whose rules write into it."""
        return next((other.lock for other in self._rules.before if other.lock.is_written(self.path)), self)

    @property
    def outputs(self) -> list[str]:
        """The file itself, where it is an output of the rules."""
        return [self._owner.path] if self.is_output else []

    @property
    def done(self) -> str:
        """The file that says that it is up to date.

        Snakemake takes this one away before the job that writes the lock file, and if that fails. The lock file it puts
        back, and then forgets what it was made from: no edit would be a reason to run again.
        """
        return self._rules.at(f"<results>/skyport/{self.log_name}.done")

    @property
    def log_name(self) -> str:
        """The name of the log of writing it."""
        if not self.is_output:
            return f"lock-{self._mark}"
        return f"lock-{self._number}" if self._number else "lock"

    @property
    def _number(self) -> int:
        """How many lock files of other lists come before it as outputs of rules."""
        earlier = [rules.lock for rules in self._owner._rules.before if rules.builds]
        return sum(other.is_output and other._owner is other for other in earlier)

    def lost(self) -> str:
        """Return when it was last found without images that have receipts, or behind them; of a job, nothing.

        A lock file that was reset, or merged to an older state, would stay so: no receipt changes by that. What is
        returned is a time that is kept, as names would change once more when they are in the file again.
        """
        if not self._rules.is_known:
            return ""
        if self._stored:
            noted = read_plan(self._note("locked")) or ()
            is_behind = not (self._rules.receipts.keys() & {image.name for image in noted}) <= self._locked.keys()
        else:
            # One that cannot be written would be found so each time.
            receipts = self._rules.receipts if self.is_writable else {}
            is_behind = any(self._is_behind(name, Path(path)) for name, path in receipts.items())
        if is_behind:
            write_note(self._note("lost"), str(time.time_ns()).encode())
        return read_note(self._note("lost"))

    @property
    def noting(self) -> str:
        """Shell that notes which images it is to have, if receipts are in a storage; otherwise nothing.

        To ask a storage for each receipt would take too long when a workflow is parsed.
        """
        return "cp {params.noted:q} 2>/dev/null || true\n" if self._stored else ""

    def noted(self, wildcards: object, output: object) -> list[str]:
        """Return the note of the list's images, and where that one goes that tells what was written."""
        return [str(note_path(name)) for name in (self._rules.plan_note, self._note("locked"))]

    def _note(self, suffix: str) -> str:
        """Return the name of a note. Each list has its own, and still has it when it is moved."""
        number = sum(other.lock.is_written(self.path) for other in self._rules.before)
        return f"{short_digest(os.path.realpath(self.path), self._rules.results, str(number))}.{suffix}"

    def _is_behind(self, name: str, receipt: Path) -> bool:
        """Return whether it lacks an image that has a receipt, or says of its node what the receipt does not.

        Of another node, it may know more than the receipt: somebody has published the image anew, elsewhere.
        """
        from skyport_wf.records.files import read_record
        from skyport_wf.records.receipt import Receipt, lock_image

        if name not in self._locked:
            return os.path.exists(receipt)  # noqa: PTH110 - Path.exists raises for a path that nobody may look at
        with suppress(SkyportError):
            entry = lock_image(read_record(receipt, Receipt))
            return entry.node == self._locked[name].node and entry != self._locked[name]
        return False

    # Snakemake runs a job again if its params change, but for those that a function makes of `output`. Where a lock
    # file is says nothing of the images.

    def path_param(self, wildcards: object, output: object) -> str:
        """Return its path."""
        return self.path

    def option(self, wildcards: object, output: object) -> list[str]:
        """Return the option that lets a step write into it, if it can be written."""
        return ["--lock", self.path] if self.is_writable else []

    def kept_names(self, wildcards: object) -> list[str]:
        """Return the option that keeps the images of other lists in a lock file that they share."""
        others = [other for other in self._rules.lists if other is not self._rules and other.lock.is_written(self.path)]
        names = {name for other in others for name in other.names} - {*self._rules.names}
        return ["--keep", *sorted(names)] if names else []

    @property
    def _mark(self) -> str:
        return short_digest(self._rules.origin, self._rules.results, os.path.realpath(self.path))
