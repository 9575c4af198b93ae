"""Our rules, applied to a Dockerfile or to a script that makes a snapshot."""

from __future__ import annotations

import itertools
import posixpath
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.context import BuildContext, list_context
from skyport_wf.image.dockerfile import (
    SCRATCH,
    Stage,
    built_stages,
    global_arguments,
    mounted_source,
    read_stages,
    stages_up_to,
)
from skyport_wf.image.instructions import Instruction, read_options, triggered
from skyport_wf.image.variables import read_word
from skyport_wf.image_list.reference import short_docker_name
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.known_values import MOST_VARIABLES, declared_variables, values_in_build, with_values
from skyport_wf.lint.rules.base_images import check_base_images
from skyport_wf.lint.rules.bash import check_bash
from skyport_wf.lint.rules.copied_files import BAD_IGNORE_FILE, check_copied_files, check_mounted_files, check_quotes
from skyport_wf.lint.rules.downloads import check_add, check_fetched
from skyport_wf.lint.rules.git_clones import check_clones
from skyport_wf.lint.rules.line_ends import check_copied_scripts, check_line_ends_of_heredocs, mends_scripts
from skyport_wf.lint.rules.options import check_options
from skyport_wf.lint.rules.packages import check_apt, check_conda, has_snapshot_date
from skyport_wf.lint.rules.refused import check_owner, check_refused
from skyport_wf.lint.rules.secrets import check_secrets
from skyport_wf.lint.rules.variables import (
    check_substitutions,
    check_variables,
    check_variables_of_from,
    check_variables_of_heredocs,
)
from skyport_wf.lint.rules.volumes import (
    check_engines_files,
    check_volumes_in_build,
    check_volumes_in_snapshot,
    declared_volumes,
)
from skyport_wf.lint.shell.invocations import Invocation, invocations, run_pipelines, script_pipelines

_DATED_IMAGES = frozenset({"debian/snapshot"})
"""Images whose package archive is the one of the day in their tag."""


class Surroundings(msgspec.Struct, frozen=True):
    """Facts known of a build beside its Dockerfile."""

    build_args: Mapping[str, str] = {}
    target: str | None = None
    """The stage that is built; the last if None."""
    platform: str | None = None
    listed: Collection[str] = ()
    """Images of the list, by their short names: they stay what they are."""
    volumes: Mapping[str, Collection[str]] = {}
    """Paths of the volumes that images have, by their short names, as far as they are known."""
    context: BuildContext | None = None
    secrets: Collection[str] | None = None
    """The ids of the build secrets that the image list has; None of a Dockerfile that is in no list."""
    agents: Collection[str] = ()
    """The same of SSH agents."""


_ALONE = Surroundings()


def lint_dockerfile(instructions: Sequence[Instruction], around: Surroundings = _ALONE) -> Iterator[Finding]:
    """Yield what our rules find in a Dockerfile, whatever its pragmas say."""
    outside = global_arguments(instructions, around.build_args, around.platform)
    stages = stages_up_to(around.target, read_stages(instructions, outside))
    yield from check_base_images(stages, around.listed, outside)
    chain = built_stages(stages)
    yield from check_bash(chain, with_values(chain, outside, around.build_args))
    for found in itertools.takewhile(lambda one: one.name != "FROM", instructions):
        yield from check_refused(found, {})
        yield from check_substitutions(found)
    for stage in stages:
        yield from check_substitutions(stage.base.instruction)
        yield from check_variables_of_from(stage.base.instruction, outside)
        yield from check_options(stage.base.instruction, {name: value for name, value in outside.items() if value})
    files: list[str] | None = None
    if around.context and any(_reads_context(found) for stage in stages for found in stage.instructions):
        try:
            files = list_context(around.context, copyable=True)
        except SkyportError as error:
            yield BAD_IGNORE_FILE.at(1, str(error), "patterns as docker takes them")
    yield from _Walk(stages, around, outside).findings(files)


def lint_script(text: str, *, base: str = "", volumes: Collection[str] = ()) -> Iterator[Finding]:
    """Yield what our rules find in a script that makes a snapshot, whatever its pragmas say.

    base: the image that it runs in.
    volumes: paths of that image's volumes, as far as they are known.
    """
    pipelines = script_pipelines(text)
    calls = tuple(invocations(pipelines))
    if not (has_snapshot_date([text]) or _is_dated(base)):
        yield from check_apt(calls, {})
    yield from check_conda(calls, {})
    yield from check_clones([("", calls)], {})
    yield from check_fetched(pipelines, {})
    yield from check_volumes_in_snapshot(calls, volumes)
    yield from check_engines_files(calls, {})


class _Known(msgspec.Struct):
    """Facts known at some place in a stage."""

    dated: bool
    """True if packages come from an archive as it was at some moment."""
    starts_empty: bool
    """True if there is no base image that could have declared variables."""
    values: dict[str, str]
    """Of the variables that have one."""
    without_value: dict[str, str]
    """The variables that are declared without a value: only the build can tell what they hold."""
    volumes: dict[str, int]
    """The lines that declare them; 0 for those of the base image."""
    all_known: bool = True
    """False if there are more variables than anyone writes."""
    folder: str = "/"
    is_empty: bool = False
    """True while nothing is in the image."""

    def declare(self, variables: Mapping[str, str]) -> None:
        """Take note of variables. What the stage below knows, which has the same objects, stays as it is."""
        values = {**self.values, **variables}
        self.values = {name: value for name, value in values.items() if value}
        self.without_value = self.without_value | {name: "" for name, value in variables.items() if not value}
        self.all_known = self.all_known and max(len(values), len(self.without_value)) <= MOST_VARIABLES
        if not self.all_known:
            # With thousands in each of thousands of stages, this would never end.
            self.values = dict(itertools.islice(self.values.items(), MOST_VARIABLES))
            self.without_value = dict(itertools.islice(self.without_value.items(), MOST_VARIABLES))


class _Walk:
    """Goes through the stages of a Dockerfile in their order, and through the instructions of each."""

    def __init__(self, stages: Sequence[Stage], around: Surroundings, outside: Mapping[str, str | None]) -> None:
        self._stages = stages
        self._around = around
        self._outside = outside
        self._ends: list[_Known] = []
        self._declaring: dict[str, set[int]] = {}
        """The stages that declare a variable, by their numbers."""
        self._mends_scripts = any(mends_scripts(found) for stage in stages for found in stage.instructions)
        for number, stage in enumerate(stages):
            for found in stage.instructions:
                for name in declared_variables(found, {}):
                    self._declaring.setdefault(name, set()).add(number)

    def findings(self, files: Collection[str] | None) -> Iterator[Finding]:
        """Yield what the rules find that look at one instruction after the other.

        files: the paths in the build context; None if it is not known.
        """
        for number, stage in enumerate(self._stages):
            known = self._start(stage)
            is_declared_elsewhere = partial(self._is_declared_elsewhere, number)
            runs: list[tuple[str, tuple[Invocation, ...]]] = []
            for found in stage.instructions:
                if found.name == "ONBUILD":
                    # What it makes others do counts there as it does here; but they have other files and variables.
                    yield from self._check(triggered(found), known, runs)
                    continue
                if known.all_known:
                    here = ChainMap(known.values, known.without_value)
                    check = partial(
                        check_variables,
                        known=here,
                        is_declared_elsewhere=is_declared_elsewhere,
                        outside=self._outside,
                        is_base_known=known.starts_empty,
                    )
                    yield from check(found)
                    yield from check_variables_of_heredocs(found, here, check)
                if files is not None and self._around.context and _reads_context(found):
                    check_files = check_mounted_files if found.name == "RUN" else check_copied_files
                    yield from check_files(found, known.values, self._around.context, files)
                    if found.name != "RUN" and not self._mends_scripts:
                        yield from check_copied_scripts(found, known.values, self._around.context.root, files)
                if self._around.secrets is not None and found.name == "RUN":
                    yield from check_secrets(found, self._around.secrets, self._around.agents)
                if known.is_empty and found.name in ("COPY", "ADD"):
                    yield from check_owner(found, known.values)
                yield from self._check(found, known, runs)
                self._learn(found, known)
            # A commit may be checked out by a later instruction than the one that clones.
            yield from check_clones(runs, known.values)
            self._ends.append(known)

    def _is_declared_elsewhere(self, stage: int, name: str) -> bool:
        declaring = self._declaring.get(name, ())
        return len(declaring) > (stage in declaring)

    def _start(self, stage: Stage) -> _Known:
        """Return what is known at the beginning of a stage, and of all of it, whether it has a dated archive."""
        texts = (text for found in stage.instructions for text in (found.value, *(doc.text for doc in found.heredocs)))
        dated = has_snapshot_date(texts)
        if stage.built_on is not None:
            below = self._ends[stage.built_on]
            return msgspec.structs.replace(below, dated=dated or below.dated)
        name = short_docker_name(stage.base.image)
        volumes = dict.fromkeys(self._around.volumes.get(name, ()), 0)
        is_empty = stage.base.image.lower() == SCRATCH
        return _Known(dated or _is_dated(name), is_empty, {}, {}, volumes, is_empty=is_empty)

    def _check(
        self, found: Instruction, known: _Known, runs: list[tuple[str, tuple[Invocation, ...]]]
    ) -> Iterator[Finding]:
        """Yield what is found in one instruction.

        runs: gets what it runs, and in which folder.
        """
        values = known.values
        if found.heredocs:
            yield from check_line_ends_of_heredocs(found)
        yield from check_quotes(found)
        yield from check_refused(found, values)
        yield from check_substitutions(found)
        yield from check_options(found, values)
        if found.name == "ADD":
            yield from check_add(found, values)
        elif found.name == "RUN":
            pipelines = run_pipelines(found)
            run = tuple(invocations(pipelines))
            runs.append((known.folder, run))
            if not known.dated:
                yield from check_apt(run, values)
            yield from check_conda(run, values)
            yield from check_fetched(pipelines, values)
            yield from check_volumes_in_build(run, known.volumes, known.folder, values)
            yield from check_engines_files(run, values)

    def _learn(self, found: Instruction, known: _Known) -> None:
        """Take note of what an instruction says to those below it."""
        known.is_empty &= found.name not in ("COPY", "ADD", "WORKDIR")
        if found.name == "WORKDIR":
            known.folder = posixpath.join(known.folder, read_word(found.value, known.values))
        elif found.name == "VOLUME":
            known.volumes = known.volumes | dict.fromkeys(declared_volumes(found, known.values), found.line)
        elif found.name in ("ARG", "ENV"):
            known.declare(values_in_build(found, known.values, self._outside, self._around.build_args))


def _reads_context(found: Instruction) -> bool:
    if found.name == "RUN":
        return any(map(mounted_source, read_options(found.value)[0].values()))
    return found.name in ("COPY", "ADD")


def _is_dated(image: str) -> bool:
    return short_docker_name(image).rpartition(":")[0] in _DATED_IMAGES
