"""The stages of a Dockerfile, and the images that they name.

The engine alone decides what the instructions do.
"""

import itertools
import posixpath
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from skyport_wf.digests import digest_of
from skyport_wf.image.instructions import (
    Instruction,
    decode_lines,
    json_words,
    raw_words,
    read_instructions,
    read_options,
    triggered,
)
from skyport_wf.image.variables import platform_arguments, read_word, unquote

_FROM = re.compile("from=['\"]?", re.IGNORECASE)
_OTHER_SYNTAX = re.compile(r"\s*#\s*syntax\s*=(?!\s*(?:docker\.io/)?docker/dockerfile)", re.IGNORECASE)
"""The first comments of a file that another frontend than Docker's reads: for that, it may mean anything."""
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
    """Every image that a `FROM` or a `--from=` names, in order, without stages of this file and `scratch`.

    Stages behind the chosen one do not count.
    """
    triggered: tuple[str, ...]
    """Those that an `ONBUILD` of the chosen stage names: each build on the image needs them."""
    stages: tuple[str, ...] = ()
    """The names of all its stages, in lower case."""
    lacks_target: bool = False
    """Whether no builder will find the stage that is to be built."""
    lacks_stages: bool = False
    """Whether it has no `FROM` at all, so that every builder refuses it."""

    @property
    def digest(self) -> str:
        """`sha256:` and the SHA-256 of the content."""
        return digest_of(self.content)


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

    @property
    def is_triggered(self) -> bool:
        """Whether not this build needs the image, but one that is built on its result."""
        return self.instruction.name == "ONBUILD"


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
    content: bytes,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    platform: str | None = None,
) -> Dockerfile:
    """Return what the Dockerfile `content` says it is made from.

    build_args: win over the defaults of `ARG` before the first `FROM`.
    target: the stage that is built; the last if None.
    platform: what the image is built for; that of this machine if None.
    """
    instructions = read_instructions(content)
    all_stages = read_stages(instructions, global_arguments(instructions, build_args or {}, platform))
    stages = stages_up_to(target, all_stages)
    chain = built_stages(stages)
    used = (
        use.image
        for stage in stages
        for use in ((stage.base, *stage.uses) if stage.built_on is None else stage.uses)
        if use.image != SCRATCH
    )
    # Those of stages below have been triggered by the ones built on them.
    triggered = (use.image for stage in chain[:1] for use in stage.uses if use.is_triggered)
    base = chain[-1].base.image if chain else SCRATCH
    found = target is None or any(target.lower() in stage.names for stage in stages)
    is_docker = not _has_other_syntax(content)
    return Dockerfile(
        content,
        base,
        tuple(dict.fromkeys(used)),
        tuple(dict.fromkeys(triggered)),
        tuple(stage_names(all_stages)),
        lacks_target=bool(stages) and not found and is_docker,
        lacks_stages=not stages and is_docker,
    )


def _has_other_syntax(content: bytes) -> bool:
    comments = itertools.takewhile(lambda line: line.lstrip().startswith("#"), decode_lines(content))
    return any(map(_OTHER_SYNTAX.match, comments))


def read_stages(instructions: Sequence[Instruction], arguments: Mapping[str, str | None]) -> list[Stage]:
    """Return the stages in the order of the file.

    arguments: from before the first stage, as global_arguments returns them.
    """
    starts = [index for index, found in enumerate(instructions) if _words_of_from(found)]
    known: dict[str, int] = {}
    # A stage is built on another one by its name alone: `FROM 0` is an image, where `COPY --from=0` is the first stage.
    named: dict[str, int] = {}
    stages: list[Stage] = []
    for number, (at, end) in enumerate(itertools.pairwise([*starts, None])):
        start, *rest = instructions[at:end]
        written, *more = _words_of_from(start)
        base = ImageUse(read_word(written, arguments), written, start.line, start, read_options(start.value)[1])
        name = more[1] if len(more) > 1 and more[0].upper() == "AS" else str(number)
        names = frozenset({str(number), name.lower()})
        uses = (
            ImageUse(read_word(text, arguments), text, instruction.line_at(offset), instruction, offset)
            for instruction in rest
            for offset, text in images_in_options(instruction)
        )
        # A stage may take files from itself only by mistake; such a name is no image either.
        images = tuple(use for use in uses if not (use.image.lower() in known or use.image.lower() in names))
        stages.append(Stage(base, named.get(base.image.lower()), names, tuple(rest), images))
        known |= dict.fromkeys(names, number)
        named |= dict.fromkeys(names - {str(number)}, number)
    return stages


def _words_of_from(instruction: Instruction) -> list[str]:
    """Return the words of a `FROM`, without options; none of another instruction."""
    return instruction.value[read_options(instruction.value)[1] :].split() if instruction.name == "FROM" else []


def images_in_options(instruction: Instruction) -> Iterator[tuple[int, str]]:
    """Yield offset and text of what `--from=IMAGE` and `--mount=from=IMAGE` name, also behind an `ONBUILD`."""
    made, value = triggered(instruction), instruction.value
    start = len(value) - len(made.value)
    options, end = read_options(made.value)
    for (offset, option), behind in zip(options.items(), [*options, end][1:], strict=True):
        images: list[str] = []
        if made.name in ("COPY", "ADD") and option.startswith("--from="):
            images = [option.removeprefix("--from=")]
        elif made.name == "RUN" and option.startswith("--mount="):
            images = [image for key, image in _mount_fields(option) if key == "from"]
        at = start + offset
        for image in images:
            places = (match.end() for match in _FROM.finditer(value, at, start + behind))
            # Where a quote stands inside of the name, the option is near enough.
            at = next((place for place in places if value.startswith(image, place)), at)
            yield at, image


def _mount_fields(option: str) -> list[tuple[str, str]]:
    """Return the fields of a `--mount=` that have a value, their names in lower case."""
    fields = (field.partition("=") for field in option.removeprefix("--mount=").split(","))
    return [(key.lower(), value) for key, equals, value in fields if equals]


def mounted_source(option: str) -> str:
    """Return the path in the build context that an option of `RUN` mounts; empty if it is none, or mounts all of it."""
    if not option.startswith("--mount="):
        return ""
    fields = dict(_mount_fields(option))
    is_of_context = fields.get("type", "bind").lower() == "bind" and "from" not in fields
    return fields.get("source", fields.get("src", "")) if is_of_context else ""


def mounted_secret(option: str) -> tuple[str, str]:
    """Return kind and id of the build secret or SSH agent that an option of `RUN` mounts; empty texts if none.

    The id is empty, too, of a secret that says none, and that builders refuse.
    """
    fields = dict(_mount_fields(option)) if option.startswith("--mount=") else {}
    kind = fields.get("type", "").lower()
    if kind == "ssh":
        return kind, fields.get("id", "default")
    if kind != "secret":
        return "", ""
    given = next((fields[key] for key in ("source", "src", "id") if fields.get(key)), "")
    targets = (fields[key] for key in ("target", "dst", "destination") if key in fields)
    return kind, given or posixpath.basename(next(targets, ""))


def stages_up_to(target: str | None, stages: Sequence[Stage]) -> Sequence[Stage]:
    """Return the stages down to the one that is built: the classic builder makes all of these, no builder any behind.

    target: the name of the stage that is built; the last if None, or if there is none of that name.
    """
    named = (count for count, stage in enumerate(stages, 1) if target is not None and target.lower() in stage.names)
    return stages[: next(named, len(stages))]


def stage_names(stages: Sequence[Stage]) -> list[str]:
    """Return what stands behind the `AS` of each stage that has one, in lower case."""
    return [name for stage in stages for name in sorted(stage.names) if not name.isdecimal()]


def built_stages(stages: Sequence[Stage]) -> list[Stage]:
    """Return the last stage, the one that it starts from, and so on down to one that starts from an image."""
    chain = list(stages[-1:])
    while chain and (below := chain[-1].built_on) is not None:
        chain.append(stages[below])
    return chain


def global_arguments(
    instructions: Sequence[Instruction], build_args: Mapping[str, str], platform: str | None = None
) -> dict[str, str | None]:
    """Return the values of the arguments that a `FROM` can use: BuildKit's own, and what `ARG` declares before it.

    An argument that has neither a default nor a build arg has None.
    """
    values: dict[str, str | None] = {
        name: build_args.get(name, value) for name, value in platform_arguments(platform).items()
    }
    for instruction in itertools.takewhile(lambda found: not _words_of_from(found), instructions):
        if instruction.name == "ARG":
            values |= argument_values(instruction.value, values, build_args)
    return values


def argument_values(value: str, known: Mapping[str, str | None], given: Mapping[str, str]) -> dict[str, str | None]:
    """Return the values of the arguments that one `ARG` declares; None of one that has no value."""
    values: dict[str, str | None] = {}
    before = ChainMap(values, dict(known))
    for word in raw_words(value):
        name, has_default, default = word.partition("=")
        values[name] = given.get(name, read_word(default, before) if has_default else before.get(name))
    return values


def copy_arguments(value: str) -> tuple[list[str], list[str]]:
    """Return the options and the paths of a `COPY`, `ADD` or `VOLUME`; variables stay as they are.

    Of a `COPY` or `ADD`, the target is last.
    """
    options, end = read_options(value)
    words = json_words(value[end:])
    if words is None:
        words = [unquote(word) for word in blank_separated(value[end:])]
    return list(options.values()), words


def blank_separated(text: str) -> list[str]:
    """Return the words of a `COPY`, `ADD` or `VOLUME`, as they are written: docker splits even between quotes."""
    return re.findall(r"[^ \t\v\f\r]+", text)
