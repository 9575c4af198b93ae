"""What a Dockerfile says it is made from.

`dockerfile-parse` reads the instructions; the engine alone decides what they do.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from io import BytesIO

import msgspec

_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::(?P<how>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")
_HEREDOC = re.compile(r"<<-?[\"']?(?P<end>\w+)[\"']?")
_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+[Aa][Ss]\s+(?P<stage>\S+))?\s*$")
_OTHER_IMAGE = re.compile(r"(?:--from=|,from=)([^\s,]+)")
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
    for name, value in _instructions(content):
        if name == "ARG" and not images and not stages:
            arguments |= _defaults(value, arguments, build_args or {})
        elif name == "FROM" and (match := _FROM.match(value)):
            image = _expand(match["image"], arguments)
            origin = stages.get(image.lower(), image)
            stage = (match["stage"] or str(len(stages))).lower()
            stages[stage] = origin
            if not target_reached:
                base = origin
            target_reached = target_reached or (target is not None and target.lower() == stage)
            images.append(image)
        elif name in ("COPY", "ADD", "RUN"):
            images += [_expand(found, arguments) for found in _OTHER_IMAGE.findall(value)]
    outside = [image for image in images if image != SCRATCH and image.lower() not in stages and not image.isdigit()]
    return Dockerfile(content, base, tuple(dict.fromkeys(outside)))


def _instructions(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield each instruction's name, in capitals, and the rest of it; what stands in a heredoc is passed over."""
    from dockerfile_parse import DockerfileParser

    heredocs: list[str] = []
    for entry in DockerfileParser(fileobj=BytesIO(content)).structure:
        if heredocs:
            if entry["content"].strip() == heredocs[0]:
                heredocs.pop(0)
            continue
        yield entry["instruction"], entry["value"]
        if entry["instruction"] in ("RUN", "COPY", "ADD"):
            heredocs = [match["end"] for match in _HEREDOC.finditer(entry["value"])]


def _defaults(value: str, arguments: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    name, _, default = value.partition("=")
    name = name.strip()
    return {name: given.get(name, _expand(default.strip().strip("\"'"), arguments))}


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
