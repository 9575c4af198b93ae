"""An image list in a workflow: what the rule files ask for when they are parsed, and when jobs are put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.formatting import terminal_text
from skyport_wf.image_list.spec import ImageList
from skyport_wf.input_file import exists
from skyport_wf.pipelines.archives import SourceArchives
from skyport_wf.pipelines.checks import check_archives, check_folders, check_keys, check_settings_files
from skyport_wf.pipelines.list_lock import ListLock
from skyport_wf.pipelines.mistakes import heard
from skyport_wf.pipelines.notes import read_paths, read_plan, short_digest, write_paths, write_plan
from skyport_wf.pipelines.patterns import match_any
from skyport_wf.pipelines.places import Places
from skyport_wf.pipelines.settings import RuleSettings
from skyport_wf.pipelines.shipped import comes_with
from skyport_wf.pipelines.use_rule import takes_all
from skyport_wf.records.plan import PlannedImage

_log = logging.getLogger(__name__)
_MOST_NAMES = 20
"""Images of a list that a message names."""
_SAY_IF_KILLED = (
    'say_if_killed() {{ "$@" || {{ code=$?; [ $code -le 128 ] || [ $code -gt 192 ] || '
    'echo "skyport-wf: killed by signal $((code - 128)): $*" >&2; return $code; }}; }}\n'
)
"""Shell, with the braces of Snakemake: whoever is killed says nothing, and Snakemake may have been asked to be quiet.

There are 64 signals: apptainer ends with 255 when it fails.

Rules keep to what each shell knows, and rely on no option: a workflow can have another shell, and a prefix of its own,
with which Snakemake leaves `set -euo pipefail` out.
"""


class Wildcards(Protocol):
    """The wildcards of a job, as Snakemake hands them to functions."""

    skyport_key: str
    """The image's name as a file name."""


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
        self.places = Places(workflow)
        self.is_known: bool = workflow.is_main_process
        """Whether the list is read when the workflow is parsed; a job reads it only if it needs it."""
        # Where a job runs, the list may not be there to be found.
        noted = None if self.is_known else read_paths(self._paths_note)
        self.images, lock = noted or self._find_files()
        self._stored = bool(workflow.storage_settings.default_storage_provider)
        self.lock = ListLock(lock, self, stored=self._stored)
        self.origin = self._origin()
        """The file that has the names."""
        self.lists = lists
        self.before = tuple(lists)
        """The lists that came before this one."""
        self.target: str | None = workflow.default_target
        """The workflow's default target before the rules come."""
        self._file = os.path.realpath(self.origin)
        self._read_in = Path.cwd()
        self._workflow = workflow
        self.archives = SourceArchives(workflow, self._file, in_job=not self.is_known)
        self._step_digests: dict[str, str] = {}
        self._defined: set[str] = set()
        self._are_all_taken = self._is_repeated = False
        self.statement: Any = None
        """The `use rule` that the rules are being parsed for, as `begin` takes it."""
        if self.is_known:
            self.places.check()
            check_settings_files(self.images if self.builds else None, settings.environment)
            self._note_written()
            self._check()
            self._write_notes()

    def begin(self, statement: Any) -> None:
        """Begin to define the rules for a `use rule`: all of them, as Snakemake drops those that it does not name.

        So each statement of a module gets what it names, with its changes. But one that takes all as they are, after
        another such one, would make two rules for each file under two names.
        statement: as for `takes_all`.
        """
        self.statement = statement
        self._defined.clear()
        self._is_repeated = self._are_all_taken and takes_all(statement)
        self._are_all_taken |= takes_all(statement)

    def defines(self, part: str) -> bool:
        """Return whether a part of the rules is to be defined here: once in a `use rule`, whatever includes it."""
        first = part not in self._defined
        self._defined.add(part)
        return first

    def leave(self, workflow: Any) -> None:
        """Leave the workflow's default target as it was before the rules came, unless they are all of the workflow.

        Snakemake takes the first rule that it sees, also that of a module.
        """
        if not comes_with(workflow.main_snakefile, workflow.included_stack[-1]):
            workflow.default_target = self.target

    @heard()
    def makes(self, part: str) -> bool:
        """Return whether rules that make files are to be defined here: once for a list, whatever modules use it.

        Raises UsageError if another list has an image of the same name, or one whose files have the same names.
        """
        if not self.defines(part) or self._is_repeated:
            return False
        others = [other for other in self.before if part in other._defined]
        if any(other.is_same_list(self) for other in others):
            return False
        if self.is_known:
            for other in others:
                self._check_apart(other, part)
        return True

    @heard()
    def makes_lock(self) -> bool:
        """Return whether the rule that writes the lock file is to be defined here: once for a list and a lock file.

        Raises UsageError if it cannot be used. Rules that do not publish, such as those of lint.smk, need none.
        """
        if not self.defines("lock") or self._is_repeated:
            return False
        if self.is_known:
            self.lock.check()
        return not any(
            other.is_same_list(self) and other.lock.is_written(self.lock.path) and "lock" in other._defined
            for other in self.before
        )

    def at(self, path: str) -> str:
        """Return a path with the workflow's pathvars put in."""
        return self.places.at(path)

    def is_same_list(self, other: ImageRules) -> bool:
        """Return whether both are about the same list, with receipts in the same folder."""
        return (self._file, self.places.moved) == (other._file, other.places.moved)

    @cached_property
    def planned(self) -> dict[str, PlannedImage]:
        """The images by key.

        Jobs take what the main process has written: where they run, the list may be elsewhere, or half-edited by now.
        """
        return {image.key: image for image in (self._plan() if self._noted is None else self._noted)}

    @cached_property
    def _noted(self) -> list[PlannedImage] | None:
        """What the main process has written for its jobs; None in that process, and where it could write nothing."""
        return None if self.is_known else read_plan(self.plan_note)

    @property
    def keys(self) -> list[str]:
        """The names of all images as file names; of a job, nothing: it has other targets."""
        return [*self.planned] if self.is_known else []

    def files(self, name: str, keys: Iterable[str] | None = None) -> list[str]:
        """Return the paths of the files of this name among the results of images: of all, or of those with these keys.

        Snakemake's `expand` takes a millisecond a call, a second for a thousand images.
        """
        return [f"{self.places.folder}/{key}/{name}" for key in (self.keys if keys is None else keys)]

    def output(self, name: str) -> str:
        """Return the path of a file that a rule makes for each image; no image of another list has it.

        The keys stand in the path itself: as `wildcard_constraints` of the rule they would be in the paths of log and
        benchmark, too, and be read for each job, which took a tenth of a dry run of a thousand images.
        """
        return self.at(f"<results>/skyport/{{skyport_key,{self._keys_pattern}}}/{name}")

    def unlisted(self, names: str) -> str:
        """Return the path of a file that would be of an image which is not in the list.

        names: the regular expression of the files' names.
        """
        key = f"(?!(?:{self._keys_pattern})/)[A-Za-z0-9._-]+"
        return self.at(f"<results>/skyport/{{skyport_key,{key}}}/{{skyport_file,{names}}}")

    @cached_property
    def _keys_pattern(self) -> str:
        """The regular expression of the keys, so that rules of several lists do not compete for one image.

        A job that would have to read the list for it takes any.
        """
        if not self.is_known and self._noted is None:
            return "[A-Za-z0-9._-]+"
        return match_any(self.planned) or "(?!)"

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

    def lint_digest(self, wildcards: Wildcards) -> str:
        """Return what changes with the image, as `digest`, and with what is not to be found in it."""
        ignored = self._ignored_findings
        return short_digest(self.digest(wildcards), ignored) if ignored else self.digest(wildcards)

    @cached_property
    def _ignored_findings(self) -> str:
        """What comments of the list leave out of what lint finds there; empty if nothing, and in a job."""
        lines = self._listed.written.source if self.is_known and self._listed.written else ()
        if not any("hadolint" in line for line in lines):
            return ""
        from skyport_wf.lint.filtering import read_script_pragmas

        pragmas = read_script_pragmas(lines)
        # Of which lines, wherever those stand.
        at = [f"{''.join(lines[line - 1 : line]).strip()} {sorted(codes)}" for line, codes in pragmas.at.items()]
        return "\n".join([*sorted(pragmas.everywhere), *at])

    def step_digest(self, wildcards: Wildcards) -> str:
        """Return what changes with the image, as `digest`, and with the content of an archive that it comes from."""
        key = wildcards.skyport_key
        # Each step of an image asks for it.
        if key not in self._step_digests:
            contents = [*map(self.archives.digest, self.archive(wildcards))]
            digest = self.digest(wildcards)
            self._step_digests[key] = short_digest(digest, *contents) if any(contents) else digest
        return self._step_digests[key]

    def notes(self) -> list[str]:
        """Return what changes with what is said of the images; of a job, nothing."""
        return [self.planned[key].notes for key in self.keys]

    @heard()
    def needs(self, wildcards: Wildcards) -> list[str]:
        """Return the keys of the images that this one is built on. Otherwise as `name`."""
        self._check_working_folder()
        return [self._keys_by_name[name] for name in self.planned[wildcards.skyport_key].needs]

    def base(self, wildcards: Wildcards) -> list[str]:
        """Return the key of the image that this one is thin on, if it is."""
        return [self._keys_by_name[name] for name in [self.planned[wildcards.skyport_key].base] if name]

    @heard()
    def archive(self, wildcards: Wildcards) -> list[str]:
        """Return the file that the image comes from, if it comes from one.

        Raises UsageError if it is not there to build from, and no rule of the workflow makes it.
        """
        image = self.planned[wildcards.skyport_key]
        if not image.archive:
            return []
        path = self.archives.path(image.archive)
        made = (f"{self.places.moved}/{image.key}/{name}" for name in ("build.json", "receipt.json"))
        # What a storage has is not known here.
        is_needed = self.is_known and not self._stored and not any(map(os.path.exists, made))
        if is_needed and self.archives.is_missing(path):
            raise UsageError(
                f"image {image.name}: there is no archive {path}, and no rule of the workflow makes it. Mend `archive` "
                f"in {self.origin}."
            )
        return [path]

    @heard()
    def refuse(self, wildcards: Wildcards) -> list[str]:
        """Raise UsageError: no list of the workflow has such an image, and this one neither.

        If another one has it, return a file that is nowhere, so that Snakemake takes the rules of that one without a
        word. As a pattern it could not be told, since that list may come later.
        """
        others = [
            other for other in self.lists if "steps" in other._defined and other.places.moved == self.places.moved
        ]
        if any(wildcards.skyport_key in other.planned for other in others):
            return [f".skyport-wf/{wildcards.skyport_key} of another list"]
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
        # The only one that does without the pipeline's variables.
        is_linted = not self._workflow.check_envvars
        environment = self.settings.environment
        return (lambda wildcards: environment) if is_linted else environment

    # Snakemake runs a job again if its params change, but for those that a function makes of `output`. Where a list is
    # says nothing of the images.

    def images_path(self, wildcards: Wildcards, output: object) -> str:
        """Return the image list."""
        return self.images

    def images_option(self, wildcards: Wildcards, output: object) -> list[str]:
        """Return the option that names the image list, which a pipeline that publishes nothing need not have."""
        return ["--images", self.images] if exists(Path(self.images)) else []

    @property
    def table(self) -> str:
        """The table of all images: each list has one of its own."""
        return self.at(f"<results>/skyport/{self.table_name}.html")

    @property
    def table_name(self) -> str:
        """The name of the table of images, and of its log."""
        first = all(other.is_same_list(self) or other.results != self.results for other in self.before)
        return "images" if first else f"images-{self._mark}"

    @property
    def lint_settings(self) -> list[str]:
        """The files that hadolint takes its settings from."""
        return [name for name in (".hadolint.yaml", ".hadolint.yml") if Path(name).is_file()]

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

    @property
    def _written(self) -> list[str]:
        """What the rules write, and Snakemake for them."""
        return [*self.places.written, *([self.lock.path] if self.builds else [])]

    def _note_written(self) -> None:
        """Note what lies in build contexts and is written by rules of this workflow, before contexts are digested.

        Commands find the notes, also those of the jobs: they know nothing of rules, and have to see the same contexts.
        """
        from skyport_wf.sources.materials import find_roots
        from skyport_wf.sources.written import note_written

        all_rules = (*self.before, self)
        written = [path for rules in all_rules for path in rules._written]
        for rules in all_rules:
            if rules.builds:
                folder = Path(rules.images).parent
                roots = find_roots(rules._listed, folder)
                try:
                    note_written(folder, roots, written)
                except SkyportError as error:
                    _log.warning("skyport-wf: %s", terminal_text(str(error)))

    @property
    def names(self) -> list[str]:
        """The images of the list."""
        return [*self._keys_by_name]

    @cached_property
    def _keys_by_name(self) -> dict[str, str]:
        return {image.name: key for key, image in self.planned.items()}

    @property
    def results(self) -> str:
        """Where receipts go, as far as no prefix moves them."""
        return self.places.results

    @property
    def receipts(self) -> dict[str, str]:
        """Where the receipts of the images are, by name."""
        return {name: f"{self.places.moved}/{key}/receipt.json" for name, key in self._keys_by_name.items()}

    def _write_notes(self) -> None:
        """Write what jobs are to take as the list."""
        write_plan(self.plan_note, self.planned.values())
        write_paths(self._paths_note, self.images, self.lock.path)

    @property
    def plan_note(self) -> str:
        """The name of the note for jobs."""
        return f"{self._mark}.json"

    @property
    def _paths_note(self) -> str:
        """The name of the note of where the list is, which the settings alone tell."""
        # Rules that publish and those that do not find other files by the same settings.
        settings = (str(self.builds), str(self.settings.images), str(self.settings.lock))
        return f"{short_digest(*settings, self.results)}.paths"

    @property
    def _mark(self) -> str:
        return short_digest(self.origin, self.results)

    def _check(self) -> None:
        """Raise UsageError for what can be known before anything runs."""
        check_keys(self.planned.values())
        check_folders(self.places.by_pathvar, self.planned)
        check_archives(self.planned.values())

    def _check_apart(self, other: ImageRules, part: str) -> None:
        """Raise UsageError if this list and another are in each other's way.

        One name is published once, wherever receipts go; otherwise, names that make the same file name are in each
        other's way in one folder only.
        """
        if other._file == self._file or (part != "steps" and other.places.moved != self.places.moved):
            return
        if both := sorted({*self.names} & {*other.names}):
            raise UsageError(
                f"{', '.join(both)} is in two image lists of this workflow, {other.origin} and {self.origin}. "
                "Take it out of one of them."
            )
        both = sorted({*self.planned} & {*other.planned})
        if both and other.places.moved == self.places.moved:
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
        if self.is_known and here != self._read_in and not all(map(os.path.isabs, (self.origin, self.lock.path))):
            raise UsageError(
                f"{self.origin} was read in {self._read_in}, and the workflow runs in {here}: put `workdir:` before "
                "the module, or before the rules are included."
            )
