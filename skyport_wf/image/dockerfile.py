"""What a Dockerfile says it is made from.

`dockerfile-parse` reads the instructions; the engine alone decides what they do.
"""

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping
from io import BytesIO

import msgspec

_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::?(?P<how>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")
_HEREDOC = re.compile(r"(?<!\S)\d*<<-?(?P<quote>[\"']?)(?P<end>\w+)(?P=quote)(?!\S)")
"""A word of its own, so that `$((1<<3))` and bash's `<<<word` are none."""
_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+[Aa][Ss]\s+(?P<stage>\S+))?\s*$")
_OTHER_IMAGE = re.compile(r"(?:--|[,=])from=([^\s,]+)")
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


def parse_dockerfile(
    content: bytes, *, build_args: Mapping[str, str] | None = None, target: str | None = None
) -> Dockerfile:
    """Return what the Dockerfile `content` says it is made from.

    build_args: win over the defaults of `ARG` before the first `FROM`.
    target: the stage that is built; the last if None.
    """
    arguments: dict[str, str] = {}
    stages: dict[str, str] = {}
    images: list[str] = []
    base = SCRATCH
    target_reached = False
    number = 0
    for name, value in _instructions(content):
        if name == "ARG" and number == 0:
            arguments |= _defaults(value, arguments, build_args or {})
        elif name == "FROM" and (match := _FROM.match(value)):
            image = _expand(match["image"], arguments)
            if image.lower() not in stages:
                images.append(image)
            stage = {str(number), (match["stage"] or str(number)).lower()}
            stages |= dict.fromkeys(stage, stages.get(image.lower(), image))
            if not target_reached:
                base = stages[str(number)]
            target_reached = target_reached or (target is not None and target.lower() in stage)
            number += 1
        elif name in ("COPY", "ADD", "RUN"):
            others = [_expand(found, arguments) for found in _OTHER_IMAGE.findall(value)]
            images += [image for image in others if image.lower() not in stages]
    return Dockerfile(content, base, tuple(image for image in dict.fromkeys(images) if image != SCRATCH))


def _instructions(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield each instruction's name, in capitals, and the rest of it; what stands in a heredoc is passed over."""
    from dockerfile_parse import DockerfileParser

    heredocs: list[str] = []
    text = content.decode("utf-8-sig", errors="replace")
    for entry in DockerfileParser(fileobj=BytesIO(text.encode())).structure:
        if heredocs:
            if entry["content"].strip() == heredocs[0]:
                heredocs.pop(0)
            continue
        yield entry["instruction"], entry["value"]
        if entry["instruction"] in ("RUN", "COPY", "ADD"):
            heredocs = [match["end"] for match in _HEREDOC.finditer(entry["value"])]


def _defaults(value: str, arguments: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the arguments that one `ARG` declares."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    values: dict[str, str] = {}
    for word in words:
        name, _, default = word.partition("=")
        values[name] = given.get(name, _expand(default, {**arguments, **values}))
    return values


def _expand(text: str, arguments: Mapping[str, str]) -> str:
    """Put the values of `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` in their places."""

    def value_of(match: re.Match[str]) -> str:
        value = arguments.get(match["name"] or match["plain"], "")
        if match["how"] == "-":
            return value or match["word"]
        if match["how"] == "+":
            return match["word"] if value else ""
        return value

    return _VARIABLE.sub(value_of, text)
