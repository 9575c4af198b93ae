"""The stages of a Dockerfile, and the images that they name.

The engine alone decides what the instructions do.
"""

import hashlib
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from skyport_wf.image.instructions import Instruction, json_words, options_end, read_instructions

_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::?(?P<how>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")
_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+[Aa][Ss]\s+(?P<stage>\S+))?\s*$")
_OTHER_IMAGE = re.compile(r"(?:--|[,=])from=([^\s,]+)")
NO_INSTRUCTION = Instruction("", "", 0, 0)
"""Of an image that something else than a Dockerfile names, such as an image list."""
SCRATCH = "scratch"
"""The base image of an image that has none."""


class Dockerfile(msgspec.Struct, frozen=True):
    """A Dockerfile's content and the images that it names."""

    content: bytes
    """The file, byte for byte."""
    base: str
    """The image that the chosen stage starts from, `scratch` if none."""
    images: tuple[str, ...]
    """Every image that a `FROM` or a `--from=` names, in order, without stages of this file and `scratch`."""

    @property
    def digest(self) -> str:
        """`sha256:` and the SHA-256 of the content."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()


class ImageUse(msgspec.Struct, frozen=True):
    """A place that names an image, none of the file's own stages."""

    image: str
    """With the values of its variables."""
    written: str
    """As it stands there."""
    line: int
    instruction: Instruction = NO_INSTRUCTION
    offset: int = 0
    """Where in the instruction's value it begins."""


class Stage(msgspec.Struct, frozen=True):
    """A `FROM` and what follows it."""

    base: ImageUse
    built_on: int | None
    """The index of the stage that it starts from, None if that is an image."""
    names: frozenset[str]
    """In lower case: its number, and what stands behind `AS`."""
    instructions: tuple[Instruction, ...]
    uses: tuple[ImageUse, ...]
    """The images that its instructions take files from."""


def parse_dockerfile(
    content: bytes, *, build_args: Mapping[str, str] | None = None, target: str | None = None
) -> Dockerfile:
    """Return what the Dockerfile `content` says it is made from.

    build_args: win over the defaults of `ARG` before the first `FROM`.
    target: the stage that is built; the last if None.
    """
    stages = read_stages(read_instructions(content), build_args=build_args)
    chain = built_stages(stages, target=target)
    used = (
        use.image
        for stage in stages
        for use in ((stage.base, *stage.uses) if stage.built_on is None else stage.uses)
        if use.image != SCRATCH
    )
    return Dockerfile(content, chain[-1].base.image if chain else SCRATCH, tuple(dict.fromkeys(used)))


def read_stages(instructions: Sequence[Instruction], *, build_args: Mapping[str, str] | None = None) -> list[Stage]:
    """Return the stages in the order of the file.

    build_args: win over the defaults of `ARG` before the first `FROM`.
    """
    starts = [index for index, found in enumerate(instructions) if found.name == "FROM" and _FROM.match(found.value)]
    arguments = global_arguments(instructions[: starts[0]] if starts else instructions, build_args or {})
    known: dict[str, int] = {}
    stages: list[Stage] = []
    for number, (at, end) in enumerate(itertools.pairwise([*starts, None])):
        start, *rest = instructions[at:end]
        match = _FROM.match(start.value)
        assert match  # noqa: S101 - only such are starts
        written = match["image"]
        base = ImageUse(expand(written, arguments), written, start.line, start, match.start("image"))
        names = frozenset({str(number), (match["stage"] or str(number)).lower()})
        uses = (
            ImageUse(
                expand(found[1], arguments), found[1], instruction.line_at(found.start()), instruction, found.start(1)
            )
            for instruction in rest
            if instruction.name in ("COPY", "ADD", "RUN")
            for found in _OTHER_IMAGE.finditer(instruction.value)
        )
        # A stage may take files from itself only by mistake; such a name is no image either.
        images = tuple(use for use in uses if not (use.image.lower() in known or use.image.lower() in names))
        stages.append(Stage(base, known.get(base.image.lower()), names, tuple(rest), images))
        known |= dict.fromkeys(names, number)
    return stages


def built_stages(stages: Sequence[Stage], *, target: str | None = None) -> list[Stage]:
    """Return the stage that is built, the one that it starts from, and so on down to one that starts from an image.

    target: the name of the stage that is built; the last if None, or if there is none of that name.
    """
    if not stages:
        return []
    named = (stage for stage in stages if target is not None and target.lower() in stage.names)
    chain = [next(named, stages[-1])]
    while (below := chain[-1].built_on) is not None:
        chain.append(stages[below])
    return chain


def global_arguments(instructions: Sequence[Instruction], build_args: Mapping[str, str]) -> dict[str, str]:
    """Return the values of what `ARG` declares in these instructions, `build_args` before defaults."""
    values: dict[str, str] = {}
    for instruction in instructions:
        if instruction.name == "ARG":
            values |= argument_values(instruction.value, values, build_args)
    return values


def argument_values(value: str, known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the arguments that one `ARG` declares; that of one without a default is empty."""
    values: dict[str, str] = {}
    for word in split_words(value):
        name, _, default = word.partition("=")
        values[name] = given.get(name, expand(default, {**known, **values}))
    return values


def split_words(text: str) -> list[str]:
    """Return the words of an instruction such as `ARG` or `COPY`, without their quotes."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def copy_arguments(value: str) -> tuple[list[str], list[str]]:
    """Return the options and the paths of a `COPY` or `ADD`, the target last."""
    end = options_end(value)
    words = json_words(value[end:])
    return value[:end].split(), split_words(value[end:]) if words is None else words


def expand(text: str, values: Mapping[str, str], *, unknown: bool = False) -> str:
    """Put the values of `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` in their places.

    unknown: whether variables without a value stay as they are; otherwise nothing takes their place.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match["name"] or match["plain"]
        value = values.get(name, "")
        if match["how"] == "-":
            return value or match["word"]
        if match["how"] == "+":
            return match["word"] if value else ""
        return match[0] if unknown and name not in values else value

    return _VARIABLE.sub(value_of, text)
