"""Checking what images are made from, before anything is built; and, if asked, whether the engine's have a bash."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.dockerfile import ImageUse
from skyport_wf.image.instructions import decode_lines, read_instructions
from skyport_wf.image_list.addresses import GitAddress, parse_address
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.image_list.yaml_document import YamlDocument, parse_yaml
from skyport_wf.lint.base_images import check_base_image
from skyport_wf.lint.bash import BASH, no_bash
from skyport_wf.lint.dockerfile import lint_dockerfile, lint_script
from skyport_wf.lint.findings import Finding, in_order
from skyport_wf.lint.hadolint import Hadolint, run_hadolint
from skyport_wf.lint.pragmas import Pragmas, is_named, read_dockerfile_pragmas, read_script_pragmas
from skyport_wf.lint.rules import ABOUT_BASH
from skyport_wf.lint.sources import check_address
from skyport_wf.sources.dockerfile import find_context, moving_reference
from skyport_wf.sources.listed import ListedImage

_log = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes of a Dockerfile or script that are read."""


class LintedFile(msgspec.Struct, frozen=True):
    """A file that was looked at: a Dockerfile, a script, or the image list for what it says itself."""

    file: str
    findings: tuple[Finding, ...]
    images: tuple[str, ...] = ()
    """The images of the list that it is for."""


class Sieve(msgspec.Struct, frozen=True):
    """Which findings are told."""

    hadolint: Hadolint
    ignored: frozenset[str] = frozenset()
    """Rules that are not, beyond those that the files themselves and hadolint's settings name."""

    def sift(self, findings: Iterable[Finding], pragmas: Pragmas) -> tuple[Finding, ...]:
        """Return the findings that are to be told, each with its level, in order."""
        settings = self.hadolint.settings
        ignored = self.ignored | set(settings.ignored)
        kept = (
            msgspec.structs.replace(found, level=settings.level_of(found))
            for found in findings
            if not is_named(found, ignored) and (settings.disable_ignore_pragma or not pragmas.ignored(found))
        )
        return tuple(in_order(kept))


def lint_file(path: Path, sieve: Sieve) -> LintedFile:
    """Return what is found in a Dockerfile that stands in no image list. Raises UsageError if it cannot be read."""
    content = _read(path)
    instructions = read_instructions(content)
    found = [*lint_dockerfile(instructions), *run_hadolint(sieve.hadolint, content, instructions)]
    return LintedFile(str(path), sieve.sift(found, read_dockerfile_pragmas(decode_lines(content), instructions)))


def lint_images(
    path: Path, names: Sequence[str], sieve: Sieve, *, has_bash: Callable[[str], bool | None] = lambda name: None
) -> list[LintedFile]:
    """Return what is found in the image list at `path`, and in what its images are made from.

    names: the images that count; all if there are none.
    has_bash: tells whether the image of this name has a bash, None if that is not known.
    Raises UsageError if the list or a file cannot be read, TemporaryError if an address cannot be reached.
    """
    images = read_image_list(path)
    text = _read(path)
    document = parse_yaml(text.decode(), name=str(path))
    chosen = [images.find(name) for name in names] or list(images.images)
    of_list: list[Finding] = []
    files: list[LintedFile] = []
    for spec in chosen:
        image = ListedImage(spec, images, path.parent, last_copies=True)
        line_of = _Lines(document, f"$.images[{images.images.index(spec)}]")
        bash = has_bash(spec.image or spec.name)
        of_list += _lint_entry(image, line_of)
        of_list += [no_bash(line_of("name"), spec.image or spec.name)] if bash is False else []
        # What was seen in the image itself is surer than what its Dockerfile lets expect.
        files += _lint_source(image, sieve, without=frozenset() if bash is None else ABOUT_BASH)
    told = sieve.sift(of_list, read_script_pragmas(decode_lines(text)))
    return [LintedFile(str(path), told, tuple(spec.name for spec in chosen)), *_merged(files)]


def find_bash_in_engine(name: str) -> bool | None:
    """Return whether the engine's image of this name has a bash that can be run, None if there is no such image."""
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.images import find_image
    from skyport_wf.engine.programs import has_program

    engine = connect()
    if find_image(engine, name):
        return has_program(engine, name, BASH)
    _log.warning("the engine has no image %s to look into. `skyport-wf build` makes it.", name)
    return None


class _Lines(msgspec.Struct, frozen=True):
    """Where the fields of one of the images stand in the list."""

    document: YamlDocument
    path: str

    def __call__(self, field: str) -> int:
        """Return the line of a field."""
        return self.document.line_of(f"{self.path}.{field}")


def _lint_entry(image: ListedImage, line_of: Callable[[str], int]) -> Iterator[Finding]:
    """Yield what is found of what the image list itself says of an image.

    line_of: gives the line of one of the image's fields.
    """
    spec = image.spec
    if spec.snapshot and not image.listed((spec.snapshot.base,)):
        base = spec.snapshot.base
        yield from check_base_image(ImageUse(base, base, line_of("snapshot.base")))
    for field, text in {"dockerfile": spec.dockerfile, "context": spec.context}.items():
        if address := parse_address(text or ""):
            moving = moving_reference(image) if isinstance(address, GitAddress) else None
            yield from check_address(address, line_of(field), commit=moving.commit if moving else "")


def _lint_source(image: ListedImage, sieve: Sieve, *, without: frozenset[str]) -> Iterator[LintedFile]:
    """Yield what is found in the Dockerfile or script of an image; nothing of one that has neither."""
    spec = image.spec
    if spec.snapshot:
        path = image.folder / spec.snapshot.script
        content = _read(path, of=spec)
        text = "\n".join(decode_lines(content))
        found = list(lint_script(text, base=spec.snapshot.base))
        yield LintedFile(str(path), sieve.sift(found, read_script_pragmas(decode_lines(content))), (spec.name,))
    elif spec.dockerfile or spec.context:
        content = _read(find_context(image).dockerfile, of=spec)
        instructions = read_instructions(content)
        listed = {other.name for other in image.images.images}
        ours = lint_dockerfile(instructions, build_args=spec.build_args, target=spec.target, listed=listed)
        found = [one for one in ours if one.code not in without]
        found += run_hadolint(sieve.hadolint, content, instructions)
        told = sieve.sift(found, read_dockerfile_pragmas(decode_lines(content), instructions))
        yield LintedFile(_shown_name(image), told, (spec.name,))


def _shown_name(image: ListedImage) -> str:
    """Return the name of an image's Dockerfile for people: a path as they would type it, or its address."""
    spec = image.spec
    addresses = [text for text in (spec.dockerfile, spec.context) if text and parse_address(text)]
    return addresses[0] if addresses else str(image.folder / (spec.dockerfile or "Dockerfile"))


def _merged(files: Sequence[LintedFile]) -> list[LintedFile]:
    """Return each file once: several images may be made from one, with other arguments."""
    by_name: dict[str, LintedFile] = {}
    for one in files:
        other = by_name.get(one.file, LintedFile(one.file, ()))
        both = tuple(in_order([*other.findings, *one.findings]))
        by_name[one.file] = LintedFile(one.file, both, (*other.images, *one.images))
    return list(by_name.values())


def _read(path: Path, *, of: ImageSpec | None = None) -> bytes:
    whose = f"image {of.name}: " if of else ""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{whose}cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise UsageError(f"{whose}{path} is larger than 1 MiB: no Dockerfile or script is. Name another file.")
    return content
