"""The variables that a Dockerfile's instructions declare, and what is known of them at each instruction."""

from collections.abc import Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import Stage, argument_values
from skyport_wf.image.instructions import Instruction, raw_words
from skyport_wf.image.variables import read_word

MOST_VARIABLES = 300
"""More than any Dockerfile has; what a hostile one has beyond these is not known."""


def declared_variables(found: Instruction, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an `ARG` or `ENV` declares, with what it says that they are."""
    if found.name not in ("ARG", "ENV"):
        return {}
    name, rest, *_ = [*found.value.split(None, 1), "", ""]
    is_old_form = found.name == "ENV" and "=" not in name
    words = [f"{name}={rest.strip()}"] if is_old_form else raw_words(found.value)
    return {name: read_word(text, values) for name, _, text in (word.partition("=") for word in words)}


def values_in_build(
    found: Instruction, values: Mapping[str, str], outside: Mapping[str, str | None], build_args: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that an `ARG` or `ENV` declares, with the values that they have in a build.

    values: what is known above it, in its stage.
    outside: what is known outside of the stages: `ARG NAME` alone brings it in.
    """
    if found.name != "ARG":
        return declared_variables(found, values)
    given = argument_values(found.value, values, build_args)
    return {name: (outside.get(name) if value is None else value) or "" for name, value in given.items()}


def with_values(
    chain: Sequence[Stage], outside: Mapping[str, str | None], build_args: Mapping[str, str]
) -> Iterator[tuple[Instruction, dict[str, str]]]:
    """Yield the instructions that make an image, the lowest first, each with the values that are known above it.

    chain: the stage that is built, and those below it, as `built_stages` gives them.
    """
    values: dict[str, str] = {}
    for stage in reversed(chain):
        for found in stage.instructions:
            yield found, values
            if len(values) <= MOST_VARIABLES and (new := values_in_build(found, values, outside, build_args)):
                values = {name: value for name, value in {**values, **new}.items() if value}
