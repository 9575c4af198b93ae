"""Our rules, applied to a Dockerfile or to a script that makes a snapshot."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.dockerfile import (
    Stage,
    argument_values,
    built_stages,
    global_arguments,
    read_stages,
)
from skyport_wf.image.instructions import Instruction, raw_words
from skyport_wf.image.variables import read_word
from skyport_wf.image_list.reference import short_docker_name
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.rules.base_images import check_base_images
from skyport_wf.lint.rules.bash import check_bash
from skyport_wf.lint.rules.downloads import check_add, check_fetched
from skyport_wf.lint.rules.git_clones import check_clones
from skyport_wf.lint.rules.packages import check_apt, check_conda, has_snapshot_date
from skyport_wf.lint.shell.invocations import Invocation, invocations, run_pipelines, script_pipelines

_DATED_IMAGES = frozenset({"debian/snapshot"})
"""Images whose package archive is the one of the day in their tag."""


def lint_dockerfile(
    instructions: Sequence[Instruction],
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    platform: str | None = None,
    listed: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what our rules find in a Dockerfile, whatever its pragmas say.

    build_args, target, platform: as in the image list.
    listed: images of the list, by their short names, which stay what they are.
    """
    given = build_args or {}
    outside = global_arguments(instructions, given, platform)
    stages = read_stages(instructions, outside)
    yield from check_base_images(stages, listed)
    yield from check_bash(built_stages(stages, target=target))
    known: list[_Known] = []
    for stage in stages:
        below = _Known(_is_dated(stage.base.image), {}) if stage.built_on is None else known[stage.built_on]
        known.append(_learn(stage, below, outside, given))
        yield from _check_stage(stage, known[-1])


def lint_script(text: str, *, base: str = "") -> Iterator[Finding]:
    """Yield what our rules find in a script that makes a snapshot, whatever its pragmas say.

    base: the image that it runs in.
    """
    pipelines = script_pipelines(text)
    calls = tuple(invocations(pipelines))
    if not (has_snapshot_date([text]) or _is_dated(base)):
        yield from check_apt(calls, {})
    yield from check_conda(calls, {})
    yield from check_clones(calls, {})
    yield from check_fetched(pipelines)


class _Known(msgspec.Struct, frozen=True):
    """Facts that hold at the end of a stage."""

    dated: bool
    """True if packages come from an archive as it was at some moment."""
    values: dict[str, str]
    """Of the variables that have one."""


def _learn(stage: Stage, below: _Known, outside: Mapping[str, str], given: Mapping[str, str]) -> _Known:
    """Return what is known at the end of a stage.

    below: of the stage that it starts from.
    outside: the arguments from before the first stage, which an `ARG` without a default brings in.
    """
    values = dict(below.values)
    texts: list[str] = []
    for instruction in stage.instructions:
        texts += [instruction.value, *(heredoc.text for heredoc in instruction.heredocs)]
        if instruction.name == "ARG":
            # As in a build: `ARG NAME` alone brings in the value from before the first FROM.
            declared = argument_values(instruction.value, values, given)
            values |= {name: value or outside.get(name, "") for name, value in declared.items()}
        elif instruction.name == "ENV":
            name, _, rest = instruction.value.partition(" ")
            # The second is the old form: ENV NAME VALUE
            words = raw_words(instruction.value) if "=" in name else [f"{name}={rest.strip()}"]
            pairs = (word.partition("=") for word in words)
            values |= {name: read_word(text, values) for name, has_value, text in pairs if has_value}
    return _Known(below.dated or has_snapshot_date(texts), {name: value for name, value in values.items() if value})


def _check_stage(stage: Stage, known: _Known) -> Iterator[Finding]:
    calls_of_stage: list[Invocation] = []
    for written in stage.instructions:
        found = written
        if written.name == "ONBUILD":
            # What it makes others do counts there as it does here.
            name, value, *_ = [*written.value.split(None, 1), "", ""]
            found = msgspec.structs.replace(written, name=name.upper(), value=value, pieces=())
        if found.name == "ADD":
            yield from check_add(found, known.values)
        elif found.name == "RUN":
            pipelines = run_pipelines(found)
            calls = tuple(invocations(pipelines))
            calls_of_stage += calls
            if not known.dated:
                yield from check_apt(calls, known.values)
            yield from check_conda(calls, known.values)
            yield from check_fetched(pipelines)
    # A commit may be checked out by a later instruction than the one that clones.
    yield from check_clones(calls_of_stage, known.values)


def _is_dated(image: str) -> bool:
    return short_docker_name(image).rpartition(":")[0] in _DATED_IMAGES
