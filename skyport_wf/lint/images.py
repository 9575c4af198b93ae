"""Checks the files that images are made from; and, if asked, whether the engine's images have a bash."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.dockerfile import ImageUse
from skyport_wf.image.instructions import decode_lines, read_instructions
from skyport_wf.image_list.addresses import GitAddress, parse_address
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.image_list.reference import short_docker_name
from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.input_file import read_bounded
from skyport_wf.lint.dockerfile import lint_dockerfile, lint_script
from skyport_wf.lint.filtering import FindingFilter, read_dockerfile_pragmas, read_script_pragmas
from skyport_wf.lint.findings import Finding, in_order
from skyport_wf.lint.hadolint.run import Hadolint, run_hadolint
from skyport_wf.lint.rules import bash
from skyport_wf.lint.rules.addresses import check_address
from skyport_wf.lint.rules.base_images import check_base_image
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.resolution import ResolvedImage, resolve_images
from skyport_wf.sources.snapshot import SnapshotSource

_log = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes of a Dockerfile or script that are read."""


class LintedFile(msgspec.Struct, frozen=True):
    """A file that was checked: a Dockerfile, a script, or the image list for what it says itself."""

    file: str
    findings: tuple[Finding, ...]
    images: tuple[str, ...] = ()
    """The images of the list that it is for."""


def lint_file(path: Path, hadolint: Hadolint, reported: FindingFilter) -> LintedFile:
    """Return what is found in a Dockerfile that stands in no image list. Raises UsageError if it cannot be read."""
    content = _read(path)
    instructions = read_instructions(content)
    found = [*lint_dockerfile(instructions), *run_hadolint(hadolint, content, instructions)]
    return LintedFile(str(path), reported.apply(found, read_dockerfile_pragmas(content, instructions)))


def lint_images(
    path: Path, names: Sequence[str], hadolint: Hadolint, reported: FindingFilter, *,
    has_bash: Callable[[str], bool | None] = lambda name: None,
) -> list[LintedFile]:  # fmt: skip
    """Return what is found in the image list at `path`, and in what its images are made from.

    names: the images that count; all if there are none.
    has_bash: tells whether the image of this name has a bash, None if that is not known.
    Raises UsageError if the list or a file cannot be read, TemporaryError if an address cannot be reached.
    """
    images = read_image_list(path)
    text = _read(path)
    document = parse_yaml(text.decode(), name=str(path))
    chosen = [images.find(name) for name in names] or list(images.images)
    listed = {short_docker_name(image.name) for image in images.images}
    resolved = resolve_images(
        images, path.parent, [spec.name for spec in chosen], last_copies=True, digests=False
    )  # fmt: skip
    of_list: list[Finding] = []
    files: dict[str, LintedFile] = {}
    for spec in chosen:
        place = f"$.images[{images.images.index(spec)}]"

        def line_of(field: str, place: str = place) -> int:
            return document.line_of(f"{place}.{field}")

        image = resolved[spec.name]
        of_list += _lint_entry(image, listed, line_of)
        found_bash = has_bash(spec.image or spec.name)
        if found_bash is False:
            of_list.append(bash.no_bash(line_of("name"), spec.image or spec.name))
        # What was seen in the image itself is surer than what its Dockerfile lets expect.
        surer = frozenset() if found_bash is None else frozenset(rule.code for rule in bash.RULES)
        for one in _lint_source(image, path.parent, listed, hadolint, reported, without=surer):
            # Several images may be made from one file, with other arguments.
            other = files.get(one.file, LintedFile(one.file, ()))
            both = tuple(in_order([*other.findings, *one.findings]))
            files[one.file] = LintedFile(one.file, both, (*other.images, *one.images))
    told = reported.apply(of_list, read_script_pragmas(decode_lines(text)))
    return [LintedFile(str(path), told, tuple(spec.name for spec in chosen)), *files.values()]


def find_bash_in_engine(name: str) -> bool | None:
    """Return whether the engine's image of this name has a bash that can be run, None if there is no such image."""
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.containers import has_program
    from skyport_wf.engine.images import find_image

    engine = connect()
    if find_image(engine, name):
        return has_program(engine, name, bash.BASH)
    _log.warning("the engine has no image %s to look into. `skyport-wf build` makes it.", name)
    return None


def _lint_entry(image: ResolvedImage, listed: Collection[str], line_of: Callable[[str], int]) -> Iterator[Finding]:
    """Yield the findings about what the image list itself says of an image.

    listed: the short names of all images of the list.
    line_of: gives the line of one of the image's fields.
    """
    spec = image.spec
    if spec.snapshot and short_docker_name(spec.snapshot.base) not in listed:
        base = spec.snapshot.base
        yield from check_base_image(ImageUse(base, base, line_of("snapshot.base")))
    for field, text in {"dockerfile": spec.dockerfile, "context": spec.context}.items():
        if address := parse_address(text or ""):
            moves = isinstance(address, GitAddress) and not address.commit
            git = image.source.materials.git if moves and isinstance(image.source, DockerfileSource) else None
            yield from check_address(address, line_of(field), commit=git.commit if git else "")


def _lint_source(
    image: ResolvedImage, folder: Path, listed: Collection[str], hadolint: Hadolint, reported: FindingFilter, *,
    without: frozenset[str],
) -> Iterator[LintedFile]:  # fmt: skip
    """Yield the Dockerfile or script of an image with its findings; nothing of an image that has neither.

    folder: what the paths of the image list start from.
    listed: the short names of all images of the list.
    without: our rules that are not applied.
    """
    spec = image.spec
    if spec.snapshot and isinstance(image.source, SnapshotSource):
        lines = decode_lines(image.source.script)
        found = list(lint_script("\n".join(lines), base=spec.snapshot.base))
        yield LintedFile(str(image.source.script_path), reported.apply(found, read_script_pragmas(lines)), (spec.name,))
    elif isinstance(image.source, DockerfileSource):
        content = image.source.dockerfile
        instructions = read_instructions(content)
        ours = lint_dockerfile(
            instructions, build_args=spec.build_args, target=spec.target, platform=spec.platform, listed=listed
        )
        found = [one for one in ours if one.code not in without]
        found += run_hadolint(hadolint, content, instructions)
        told = reported.apply(found, read_dockerfile_pragmas(content, instructions))
        # People are shown a path as they would type it, or an address, not a file of the cache.
        addresses = [text for text in (spec.dockerfile, spec.context) if text and parse_address(text)]
        name = addresses[0] if addresses else str(folder / (spec.dockerfile or "Dockerfile"))
        yield LintedFile(name, told, (spec.name,))


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
