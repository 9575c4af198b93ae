"""Our rules on a Dockerfile, and on a script that makes a snapshot."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.dockerfile import (
    Stage,
    argument_values,
    built_stages,
    global_arguments,
    read_stages,
    split_words,
)
from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.base_images import check_base_images, split_image
from skyport_wf.lint.bash import check_bash
from skyport_wf.lint.downloads import check_add, check_fetched
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.git_clones import check_clones
from skyport_wf.lint.invocations import invocations, run_pipelines, script_pipelines
from skyport_wf.lint.packages import check_apt, check_conda, has_snapshot_date

_DATED_IMAGES = frozenset({"debian/snapshot"})
"""Images whose package archive is the one of the day in their tag."""


def lint_dockerfile(
    instructions: Sequence[Instruction],
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    listed: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what our rules find in a Dockerfile, whatever its pragmas say.

    build_args, target: as in the image list.
    listed: the names of the images of the list, which stay what they are.
    """
    given = build_args or {}
    stages = read_stages(instructions, build_args=given)
    yield from check_base_images(stages, listed)
    yield from check_bash(built_stages(stages, target=target))
    first = stages[0].base.line if stages else 0
    outside = global_arguments([found for found in instructions if found.line < first], given)
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
    """What is known at the end of a stage."""

    dated: bool
    """Whether packages come from an archive as it was at some moment."""
    values: dict[str, str]
    """Of the variables that have one."""


def _check_stage(stage: Stage, known: _Known) -> Iterator[Finding]:
    instructions = [_triggered(found) for found in stage.instructions]
    runs = [run_pipelines(found) for found in instructions if found.name == "RUN"]
    for pipelines in runs:
        calls = tuple(invocations(pipelines))
        yield from () if known.dated else check_apt(calls, known.values)
        yield from check_conda(calls, known.values)
        yield from check_fetched(pipelines)
    # A commit may be checked out by a later instruction than the one that clones.
    yield from check_clones([call for pipelines in runs for call in invocations(pipelines)], known.values)
    for found in instructions:
        if found.name == "ADD":
            yield from check_add(found, known.values)


def _triggered(instruction: Instruction) -> Instruction:
    """Return what an `ONBUILD` makes others do: there it counts as it does here."""
    if instruction.name != "ONBUILD":
        return instruction
    name, *rest = instruction.value.split(None, 1)
    return msgspec.structs.replace(instruction, name=name.upper(), value="".join(rest), pieces=())


def _learn(stage: Stage, below: _Known, outside: Mapping[str, str], given: Mapping[str, str]) -> _Known:
    """Return what is known at the end of a stage.

    below: of the stage that it starts from.
    outside: the arguments from before the first stage, which an `ARG` without a default brings in.
    """
    values = dict(below.values)
    for instruction in stage.instructions:
        if instruction.name == "ARG":
            declared = argument_values(instruction.value, values, given)
            values |= {name: value or outside.get(name, "") for name, value in declared.items()}
        elif instruction.name == "ENV":
            values |= _variables(instruction.value)
    dated = below.dated or has_snapshot_date(_texts(stage))
    return _Known(dated, {name: value for name, value in values.items() if value})


def _variables(value: str) -> dict[str, str]:
    name, _, rest = value.partition(" ")
    if "=" not in name:  # the old form: ENV NAME VALUE
        return {name: rest.strip()}
    return {word.partition("=")[0]: word.partition("=")[2] for word in split_words(value)}


def _texts(stage: Stage) -> Iterator[str]:
    for instruction in stage.instructions:
        yield instruction.value
        yield from (heredoc.text for heredoc in instruction.heredocs)


def _is_dated(image: str) -> bool:
    return split_image(image)[0] in _DATED_IMAGES
