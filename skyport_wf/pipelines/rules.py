"""An image list in a workflow: what the rule files ask for when they are parsed, and when jobs are put together."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.formatting import terminal_text
from skyport_wf.image_list.spec import ImageList
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import replace_file
from skyport_wf.pipelines.archives import digest_archive
from skyport_wf.pipelines.checks import (
    check_archives,
    check_lock,
    check_pathvars,
    check_results,
    check_settings_files,
    is_writable,
)
from skyport_wf.pipelines.mistakes import heard
from skyport_wf.pipelines.settings import RuleSettings
from skyport_wf.pipelines.shipped import find_shipped, is_shipped
from skyport_wf.records.plan import PlannedImage

_log = logging.getLogger(__name__)
_LARGEST_PLAN = 64 << 20
"""Bytes of a plan that are read."""
_NOTES = Path(".snakemake/skyport")
"""What is noted for jobs and later runs, in the folder that Snakemake runs in."""
_PATHVARS = ("results", "logs", "benchmarks")
"""What says where the rules write."""
_MOST_NAMES = 20
"""Images of a list that a message names."""
_SAY_IF_KILLED = (
    'say_if_killed() {{ "$@" || {{ code=$?; [ $code -le 128 ] || '
    'echo "skyport-wf: killed by signal $((code - 128)): $*" >&2; return $code; }}; }}\n'
)
"""Shell, with the braces of Snakemake: whoever is killed says nothing, and Snakemake may have been asked to be quiet.

Rules keep to what each shell knows, and rely on no option: a workflow can have another shell, and a prefix of its own,
with which Snakemake leaves `set -euo pipefail` out.
"""


class Wildcards(Protocol):
    """The wildcards of a job, as Snakemake hands them to functions."""

    skyport_key: str
    """The image's name as a file name."""


class PathModifier(Protocol):
    """What puts the prefix of a module before its paths: Snakemake's."""

    def replace_prefix(self, path: str) -> str:
        """Return the path as it counts."""


class ImageRules:
    """The images of one list, for the rules of one module or pipeline."""

    say_if_killed = _SAY_IF_KILLED
    builds = True
    """Whether the rules build and publish the images, and do not only fetch what others have published."""

    def __init__(self, settings: RuleSettings, workflow: Any, lists: Sequence[ImageRules]) -> None:
        """Read the list, if this process is not one of Snakemake's jobs.

        workflow: Snakemake's.
        lists: those of the workflow; as it is parsed, more come.
        Raises UsageError for what is wrong with the list, or cannot be written.
        """
        self.settings = settings
        self.images, self.lock = self._find_files()
        self.origin = self._origin()
        """The file that has the names."""
        self._pathvars = workflow.pathvars
        self._folder = self.at("<results>/skyport")
        self.results = self._folder.removesuffix("/skyport")
        """Where receipts go, as far as no prefix moves them."""
        prefixed = workflow.modifier.path_modifier.replace_prefix
        self._place: str = prefixed(self._folder)
        """Where receipts really go."""
        self._written = [prefixed(self.at(f"<{name}>/skyport")) for name in _PATHVARS]
        """What these rules write, and Snakemake for them."""
        self._written += [".snakemake", *([self.lock] if self.builds else [])]
        self._file = os.path.realpath(self.origin)
        self._read_in = Path.cwd()
        self.target: str | None = workflow.default_target
        """The workflow's default target before the rules come."""
        self.is_known: bool = workflow.is_main_process
        """Whether the list is read when the workflow is parsed; a job reads it only if it needs it."""
        self._locked: set[str] = set()
        """The names that the lock file has before anything runs."""
        self._workflow = workflow
        self._archive_digests: dict[str, str] = {}
        self._is_linted: bool = not workflow.check_envvars
        """Whether this is `snakemake --lint`, the only one that does without the pipeline's variables."""
        self._lists = lists
        self._before = tuple(lists)
        self._defined: set[str] = set()
        if self.is_known:
            check_pathvars({name: self._pathvars.apply(f"<{name}>") for name in _PATHVARS})
            check_settings_files(self.images if self.builds else None, self._environment)
            self._note_written()
            self._check()
            self._write_plan()

    def defines(self, part: str) -> bool:
        """Return whether a part of the rules is to be defined here: once for all that includes it."""
        first = part not in self._defined
        self._defined.add(part)
        return first

    def at(self, path: str) -> str:
        """Return a path with the workflow's pathvars put in, of which each may end with a slash.

        Snakemake does that too, but not before it hands paths to a default storage provider.
        """
        return re.sub("(?<!:)//+", "/", self._pathvars.apply(path))

    def folders(self, modifier: PathModifier | None) -> list[str]:
        """Return how a Snakefile can write the folder that has the receipts, in the place of `results`.

        modifier: what moves the paths of the Snakefile that is being parsed; None if that is not known.
        """
        folders = {self.results: self._folder, self._place.removesuffix("/skyport"): self._place}
        return [
            folder
            for folder, inside in folders.items()
            if modifier is None or modifier.replace_prefix(inside) == self._place
        ]

    def leave(self, workflow: Any) -> None:
        """Leave the workflow's default target as it was before the rules came, unless they are all of the workflow.

        Snakemake takes the first rule that it sees, also that of a module.
        """
        if not is_shipped(Path(workflow.main_snakefile)):
            workflow.default_target = self.target

    @heard()
    def makes(self, part: str) -> bool:
        """Return whether rules that make files are to be defined here: once for a list, whatever modules use it.

        Raises UsageError if another list has an image of the same name, or one whose files have the same names.
        """
        if not self.defines(part):
            return False
        others = [other for other in self._before if part in other._defined]
        if any(other.is_same_list(self) for other in others):
            return False
        if self.is_known:
            for other in others:
                self._check_apart(other, part)
        return True

    def makes_lock(self) -> bool:
        """Return whether the rule that writes the lock file is to be defined here: once for a list and a lock file."""
        return self.defines("lock") and not any(
            other.is_same_list(self) and other._writes_into(self.lock) and "lock" in other._defined
            for other in self._before
        )

    def is_same_list(self, other: ImageRules) -> bool:
        """Return whether both are about the same list, with receipts in the same folder."""
        return (self._file, self._place) == (other._file, other._place)

    @cached_property
    def planned(self) -> dict[str, PlannedImage]:
        """The images by key.

        Jobs take what the main process has written: where they run, the list may be elsewhere, or half-edited by now.
        """
        if not self.is_known:
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                plan = decode_json(read_bounded(self._plan_file, _LARGEST_PLAN), list[PlannedImage])
                return {image.key: image for image in plan}
        return {image.key: image for image in self._plan()}

    @property
    def keys(self) -> list[str]:
        """The names of all images as file names; of a job, nothing: it has other targets."""
        return [*self.planned] if self.is_known else []

    def files(self, name: str, keys: Iterable[str] | None = None) -> list[str]:
        """Return the paths of the files of this name among the results of images: of all, or of those with these keys.

        Snakemake's `expand` takes a millisecond a call, a second for a thousand images.
        """
        return [f"{self._folder}/{key}/{name}" for key in (self.keys if keys is None else keys)]

    @cached_property
    def constraint(self) -> str:
        """The regular expression of the keys, so that rules of several lists do not compete for one image."""
        return match_any(self.keys) or "[A-Za-z0-9._-]+"

    @cached_property
    def unlisted(self) -> str:
        """The regular expression of keys that are no image of the list."""
        return f"(?!(?:{self.constraint})/)[A-Za-z0-9._-]+"

    @heard()
    def name(self, wildcards: Wildcards) -> str:
        """Return the image's name. Raises UsageError if the list was read in another folder than jobs run in."""
        self._check_working_folder()
        return self.planned[wildcards.skyport_key].name

    def digest(self, wildcards: Wildcards) -> str:
        """Return what changes with the image, and with where it goes.

        All steps have it among their params: a build that fails takes its record away, and Snakemake would find the
        receipt of the image before up to date if only the build knew of the change.
        """
        return self.planned[wildcards.skyport_key].digest

    def step_digest(self, wildcards: Wildcards) -> str:
        """Return what changes with the image, as `digest`, and with the content of an archive that it comes from."""
        contents = [self._archive_digest(path) for path in self.archive(wildcards)]
        return _digest(self.digest(wildcards), *contents) if any(contents) else self.digest(wildcards)

    def notes(self) -> list[str]:
        """Return what changes with what is said of the images; of a job, nothing."""
        return [self.planned[key].notes for key in self.keys]

    def lost(self) -> str:
        """Return when the lock file was last found without images that have receipts; of a job, nothing.

        One that was reset, or merged to an older state, would stay so: no receipt changes by that. What is returned is
        a time that is kept, as names would change once more when they are in the file again.
        """
        if not self.is_known:
            return ""
        lacking = [name for name in self.names if name not in self._locked]
        if any(Path(self._place, self._keys_by_name[name], "receipt.json").exists() for name in lacking):
            self._write(self._lost_file, str(time.time_ns()).encode())
        with suppress(OSError, UnicodeDecodeError):
            return self._lost_file.read_text()
        return ""

    @heard()
    def needs(self, wildcards: Wildcards) -> list[str]:
        """Return the keys of the images that this one is built on. Otherwise as `name`."""
        self._check_working_folder()
        return [self._keys_by_name[name] for name in self.planned[wildcards.skyport_key].needs]

    def base(self, wildcards: Wildcards) -> list[str]:
        """Return the key of the image that this one is thin on, if it is."""
        return [self._keys_by_name[name] for name in [self.planned[wildcards.skyport_key].base] if name]

    def archive(self, wildcards: Wildcards) -> list[str]:
        """Return the file that the image comes from, if it comes from one."""
        return [path for path in [self.planned[wildcards.skyport_key].archive] if path]

    def counts_by_content(self, archive: str) -> bool:
        """Return whether an archive counts by its content, as one of the params, and not by its time."""
        return bool(self._archive_digest(archive))

    def _archive_digest(self, archive: str) -> str:
        """Return what changes with the content of an archive; empty if a rule of the workflow may make it, or in a job.

        Before that rule has run, the content says nothing. To be called when all rules are there.
        """
        if archive not in self._archive_digests:
            counts = self.is_known and not any(rule.is_producer(archive) for rule in self._workflow.rules)
            self._archive_digests[archive] = digest_archive(Path(archive), Path(self._file)) if counts else ""
        return self._archive_digests[archive]

    @heard()
    def refuse(self, wildcards: Wildcards) -> list[str]:
        """Raise UsageError: the list has no such image."""
        raise UsageError(f"{self.origin} has no image with the key {wildcards.skyport_key}, it has {self.told_names}")

    @property
    def told_names(self) -> str:
        """The images of the list, in words."""
        if not self.names:
            return "no images"
        left = len(self.names) - _MOST_NAMES
        return ", ".join(self.names[:_MOST_NAMES]) + (f" and {left} more" if left > 0 else "")

    def has(self, name: str) -> bool:
        """Return whether the list has an image."""
        return name in self._keys_by_name

    @property
    def conda(self) -> str | Callable[[Wildcards], str | None] | None:
        """The conda environment that the rules are to run in, None for none.

        For `snakemake --lint`, which finds fault with rules that have none, a function. `--containerize` takes none.
        """
        return (lambda wildcards: self._environment) if self._is_linted else self._environment

    @property
    def _environment(self) -> str | None:
        wanted = self.settings.conda
        if not wanted:
            return None
        if wanted is True:
            return str(find_shipped("workflows/envs/skyport-wf.yaml"))
        # Snakemake would look for a file beside the rules, and not where the pipeline is.
        return str(Path(wanted).absolute()) if Path(wanted).suffix in (".yaml", ".yml") else wanted

    @property
    def streams(self) -> bool:
        """Whether an image is published by one job."""
        return self.settings.steps == "stream"

    @property
    def is_local(self) -> bool:
        """Whether all steps run where Snakemake runs."""
        return not self.settings.cluster

    @property
    def group(self) -> str | None:
        """The group of jobs that goes to a cluster as one; None if all are local."""
        return "skyport" if self.settings.cluster else None

    @cached_property
    def owns_lock(self) -> bool:
        """Whether the lock file is an output of this list's rules; not if an earlier has it, or it is read-only."""
        return self.writes_lock and self._lock_owner.is_same_list(self)

    @cached_property
    def writes_lock(self) -> bool:
        """Whether the folder of the lock file can be written to."""
        return is_writable(Path(self.lock).parent)

    @property
    def locked(self) -> str:
        """The file that says that the lock file is up to date: that one, where the rules own it."""
        return self._lock_owner.lock if self.owns_lock else self.at(f"<results>/skyport/{self._lock_mark}.locked")

    # Snakemake runs a job again if its params change, but for those that a function makes of `output`. Where a list or
    # a lock file is says nothing of the images.

    def images_path(self, wildcards: Wildcards, output: object) -> str:
        """Return the image list."""
        return self.images

    def images_option(self, wildcards: Wildcards, output: object) -> list[str]:
        """Return the option that names the image list, which a pipeline that publishes nothing need not have."""
        return ["--images", self.images] if Path(self.images).exists() else []

    def lock_path(self, wildcards: Wildcards, output: object) -> str:
        """Return the lock file."""
        return self.lock

    def lock_option(self, wildcards: Wildcards, output: object) -> list[str]:
        """Return the option that lets a step write into the lock file, if it can be written."""
        return ["--lock", self.lock] if self.writes_lock else []

    @property
    def lock_name(self) -> str:
        """The name of the log of writing the lock file."""
        return "lock" if self.owns_lock else f"lock-{self._lock_mark}"

    @property
    def table(self) -> str:
        """The table of all images: each list has one of its own."""
        return self.at(f"<results>/skyport/{self.table_name}.html")

    @property
    def table_name(self) -> str:
        """The name of the table of images, and of its log."""
        first = all(other.is_same_list(self) or other.results != self.results for other in self._before)
        return "images" if first else f"images-{self._mark}"

    @property
    def level_option(self) -> list[str]:
        """The option of the level from which on findings fail the check."""
        return ["--level", self.settings.lint_level] if self.settings.lint_level else []

    @property
    def lint_settings(self) -> list[str]:
        """The files that hadolint takes its settings from."""
        return [name for name in (".hadolint.yaml", ".hadolint.yml") if Path(name).is_file()]

    def kept_names(self, wildcards: object) -> list[str]:
        """Return the option that keeps the images of other lists in a lock file that they share."""
        others = [other for other in self._lists if other is not self and other._writes_into(self.lock)]
        names = {name for other in others for name in other.names} - {*self.names}
        return ["--keep", *sorted(names)] if names else []

    def _find_files(self) -> tuple[str, str]:
        """Return the paths of the image list and of the lock file."""
        return self.settings.list_file, self.settings.lock_file

    def _origin(self) -> str:
        return self.images

    def _plan(self) -> list[PlannedImage]:
        """Read the list. Raises UsageError for what is wrong with it."""
        from skyport_wf.inspection.plan import plan_images

        return plan_images(self._listed, Path(self.images).parent)

    @cached_property
    def _listed(self) -> ImageList:
        from skyport_wf.image_list.images_yaml import read_image_list

        return read_image_list(Path(self.images))

    def _note_written(self) -> None:
        """Note what lies in build contexts and is written by rules of this workflow, before contexts are digested.

        Commands find the notes, also those of the jobs: they know nothing of rules, and have to see the same contexts.
        """
        from skyport_wf.sources.materials import find_roots
        from skyport_wf.sources.written import note_written

        written = [path for rules in (*self._before, self) for path in rules._written]
        for rules in (*self._before, self):
            if rules.builds:
                folder = Path(rules.images).parent
                roots = find_roots(rules._listed, folder)
                try:
                    note_written(folder, roots, written)
                except SkyportError as error:
                    _log.warning("skyport-wf: %s", terminal_text(str(error)))

    def _writes_into(self, lock: str) -> bool:
        """Return whether the rules of this list write the lock file."""
        return os.path.realpath(self.lock) == os.path.realpath(lock)

    @cached_property
    def _lock_owner(self) -> ImageRules:
        """The first that writes into the lock file."""
        return next((other for other in self._before if other._writes_into(self.lock)), self)

    @property
    def names(self) -> list[str]:
        """The images of the list."""
        return [*self._keys_by_name]

    @cached_property
    def _keys_by_name(self) -> dict[str, str]:
        return {image.name: key for key, image in self.planned.items()}

    @property
    def _mark(self) -> str:
        return _digest(self.origin, self.results)

    @property
    def _lock_mark(self) -> str:
        return _digest(self.origin, self.results, os.path.realpath(self.lock))

    @property
    def _plan_file(self) -> Path:
        return _NOTES / f"{self._mark}.json"

    @property
    def _lost_file(self) -> Path:
        # Each list has its own, and still has it when it is moved.
        number = sum(other._writes_into(self.lock) for other in self._before)
        return _NOTES / f"{_digest(os.path.realpath(self.lock), self.results, str(number))}.lost"

    def _check(self) -> None:
        """Raise UsageError for what can be known before anything runs."""
        check_results(self.results, self.planned)
        check_archives(self.planned.values())
        lists = [self.images, *(other.images for other in self._before)]
        self._locked = check_lock(self.lock, () if self.writes_lock else self.names, lists)

    def _check_apart(self, other: ImageRules, part: str) -> None:
        """Raise UsageError if this list and another are in each other's way.

        One name is published once, wherever receipts go; otherwise, names that make the same file name are in each
        other's way in one folder only.
        """
        if other._file == self._file or (part != "steps" and other._place != self._place):
            return
        if both := sorted({*self.names} & {*other.names}):
            raise UsageError(
                f"{', '.join(both)} is in two image lists of this workflow, {other.origin} and {self.origin}. "
                "Take it out of one of them."
            )
        both = sorted({*self.planned} & {*other.planned})
        if both and other._place == self._place:
            first, second = other.planned[both[0]].name, self.planned[both[0]].name
            raise UsageError(
                f"{first} of {other.origin} and {second} of {self.origin} make the same file name {both[0]!r}. Give "
                "one of them another name."
            )

    def _check_working_folder(self) -> None:
        """Raise UsageError if the working directory changed since the list was read, and its path is relative to that.

        Snakemake does so where it reads `workdir`, and runs jobs in the last one.
        """
        here = Path.cwd()
        if self.is_known and here != self._read_in and not all(map(os.path.isabs, (self.origin, self.lock))):
            raise UsageError(
                f"{self.origin} was read in {self._read_in}, and the workflow runs in {here}: put `workdir:` before "
                "the module, or before the rules are included."
            )

    def _write_plan(self) -> None:
        """Write what jobs are to take. Where that cannot be, they read the list themselves."""
        self._write(self._plan_file, msgspec.json.encode([*self.planned.values()]))

    def _write(self, path: Path, content: bytes) -> None:
        """Write a note for jobs or later runs, if it can be written."""
        with suppress(OSError, SkyportError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(path) as file:
                file.write(content)


def _digest(*words: str) -> str:
    return hashlib.sha256(os.fsencode("\0".join(words))).hexdigest()[:12]


def match_any(words: Collection[str]) -> str:
    """Return a regular expression that matches these words alone; empty without any.

    What several words begin with is in it once: Snakemake has it in each path of a rule and searches it for each file.
    Spelled out, a thousand names take a third of a dry run.
    """
    common = os.path.commonprefix([*words])  # noqa: RUF071 - character by character, as meant here
    rests = sorted(word.removeprefix(common) for word in words)
    ends_here = "" in rests
    ways = [match_any([*rest]) for _, rest in groupby(filter(None, rests), key=lambda rest: rest[0])]
    if not ways:
        return re.escape(common)
    return f"{re.escape(common)}(?:{'|'.join(ways)}){'?' if ends_here else ''}"
