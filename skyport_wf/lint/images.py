"""Checks the files that images are made from; and, if asked, whether the engine's images have a bash."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.dockerfile import ImageUse, built_stages, global_arguments, read_stages, stages_up_to
from skyport_wf.image.instructions import decode_lines, read_instructions
from skyport_wf.image_list.addresses import GitAddress, parse_address
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.image_list.reference import is_docker_name, short_docker_name
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.input_file import read_bounded
from skyport_wf.lint.dockerfile import Surroundings, lint_dockerfile, lint_script
from skyport_wf.lint.filtering import FindingFilter, read_dockerfile_pragmas, read_script_pragmas
from skyport_wf.lint.findings import Finding, in_order
from skyport_wf.lint.hadolint.run import Hadolint, run_hadolint
from skyport_wf.lint.known_values import with_values
from skyport_wf.lint.rules import bash
from skyport_wf.lint.rules.addresses import check_address
from skyport_wf.lint.rules.base_images import check_base_image
from skyport_wf.lint.rules.line_ends import check_encoding, check_line_ends
from skyport_wf.lint.rules.refused import check_lines
from skyport_wf.lint.rules.volumes import declared_volumes
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.resolution import ResolvedImage, resolve_images
from skyport_wf.sources.snapshot import SnapshotSource

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes of a Dockerfile or script that are read."""


class LintedFile(msgspec.Struct, frozen=True):
    """A file that was checked: a Dockerfile, a script, or the image list for what it says itself."""

    file: str
    findings: tuple[Finding, ...]
    images: tuple[str, ...] = ()
    """The images of the list that it is for."""


class ImageLook(msgspec.Struct, frozen=True):
    """A look into an image: what it has."""

    has_bash: bool
    volumes: tuple[str, ...]
    """The paths of its volumes."""


def lint_file(path: Path, hadolint: Hadolint, reported: FindingFilter) -> LintedFile:
    """Return what is found in a Dockerfile that stands in no image list. Raises UsageError if it cannot be read."""
    content = _read(path)
    instructions = read_instructions(content)
    found = [*check_encoding(content), *check_lines(content), *lint_dockerfile(instructions)]
    found += run_hadolint(hadolint, content, instructions)
    return LintedFile(str(path), reported.apply(found, read_dockerfile_pragmas(content, instructions), file=str(path)))


def lint_images(
    path: Path, names: Sequence[str], hadolint: Hadolint, reported: FindingFilter, *,
    look: Callable[[str], ImageLook | None] | None = None,
) -> list[LintedFile]:  # fmt: skip
    """Return what is found in the image list at `path`, and in what its images are made from.

    names: the images that count, or patterns of them; all if there are none.
    look: looks into the image of a name, and returns None if there is none; images are not looked into without it.
    Raises UsageError if the list or a file cannot be read, TemporaryError if an address cannot be reached.
    """
    images = read_image_list(path)
    text = _read(path)
    document = parse_yaml(text.decode(), name=str(path))
    chosen = images.choose(names)
    listed = {short_docker_name(image.name) for image in images.images}
    resolved = resolve_images(
        images, path.parent, [spec.name for spec in chosen], last_copies=True, digests=False, archives=False
    )
    volumes: dict[str, Collection[str]] = {}
    # Each after those that it is built on.
    for name, image in resolved.items():
        for base in map(short_docker_name, image.source.used_images):
            if look and base not in volumes and base not in listed and is_docker_name(base) and (found := look(base)):
                volumes[base] = found.volumes
        volumes[short_docker_name(name)] = _volumes_of(image, volumes)
    of_list: list[Finding] = []
    files: dict[str, LintedFile] = {}
    for spec in chosen:
        place = f"$.images[{images.images.index(spec)}]"

        def line_of(field: str, place: str = place) -> int:
            return document.line_of(f"{place}.{field}")

        image = resolved[spec.name]
        of_list += _lint_entry(image, listed, line_of)
        seen = look(spec.image or spec.name) if look else None
        if look and not seen:
            what = "the engine has no image %s to look into. `skyport-wf build` makes it."
            _log.warning(what, spec.image or spec.name)
        elif seen and not seen.has_bash:
            of_list.append(bash.no_bash(line_of("name"), spec.image or spec.name))
        # What was seen in the image itself is surer than what its Dockerfile lets expect.
        surer = frozenset(rule.code for rule in bash.RULES) if seen else frozenset()
        around = Surroundings(
            spec.build_args, spec.target, spec.normalized_platform, listed, volumes, secrets=spec.secrets,
            agents=[agent.partition("=")[0] for agent in spec.ssh],
        )  # fmt: skip
        if one := _lint_source(image, path.parent, around, hadolint, reported, without=surer):
            # Several images may be made from one file, with other arguments.
            other = files.get(one.file, LintedFile(one.file, ()))
            both = tuple(in_order([*other.findings, *one.findings]))
            files[one.file] = LintedFile(one.file, both, (*other.images, *one.images))
    told = reported.apply(of_list, read_script_pragmas(decode_lines(text)), file=str(path))
    return [LintedFile(str(path), told, tuple(spec.name for spec in chosen)), *files.values()]


def look_into_engine(engine: APIClient, name: str) -> ImageLook | None:
    """Return what the engine's image of this name has, None if there is no such image."""
    from skyport_wf.engine.containers import has_program
    from skyport_wf.engine.images import find_image

    found = find_image(engine, name)
    if found is None:
        return None
    return ImageLook(has_program(engine, name, bash.BASH), tuple((found.config and found.config.volumes) or ()))


def _volumes_of(image: ResolvedImage, volumes: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the paths of the volumes that an image will have, as far as they are known.

    volumes: those of the images that it is made from, by their short names.
    """
    source, spec = image.source, image.spec
    if not isinstance(source, DockerfileSource):
        return frozenset(path for name in source.used_images for path in volumes.get(short_docker_name(name), ()))
    instructions = read_instructions(source.dockerfile)
    arguments = global_arguments(instructions, spec.build_args, spec.normalized_platform)
    chain = built_stages(stages_up_to(spec.target, read_stages(instructions, arguments)))
    made = with_values(chain, arguments, spec.build_args)
    declared = (path for one, values in made for path in declared_volumes(one, values))
    return frozenset((*declared, *volumes.get(short_docker_name(source.base), ())))


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
    image: ResolvedImage, folder: Path, around: Surroundings, hadolint: Hadolint, reported: FindingFilter, *,
    without: frozenset[str],
) -> LintedFile | None:  # fmt: skip
    """Return the Dockerfile or script of an image with its findings; None of an image that has neither.

    folder: what the paths of the image list start from.
    without: our rules that are not applied.
    """
    spec, source = image.spec, image.source
    if spec.snapshot and isinstance(source, SnapshotSource):
        lines = decode_lines(source.script)
        base = spec.snapshot.base
        volumes = around.volumes.get(short_docker_name(base), ())
        found = [
            *check_encoding(source.script),
            *check_line_ends(source.script.decode(errors="replace")),
            *lint_script("\n".join(lines), base=base, volumes=volumes),
        ]
        script = str(source.script_path)
        return LintedFile(script, reported.apply(found, read_script_pragmas(lines), file=script), (spec.name,))
    if isinstance(source, DockerfileSource):
        content = source.dockerfile
        instructions = read_instructions(content)
        around = msgspec.structs.replace(around, context=source.materials.context)
        ours = [*check_lines(content), *lint_dockerfile(instructions, around)]
        found = [one for one in ours if one.code not in without]
        found += run_hadolint(hadolint, content, instructions)
        name = _shown_name(spec, folder)
        told = reported.apply(found, read_dockerfile_pragmas(content, instructions), file=name)
        return LintedFile(name, told, (spec.name,))
    return None


def _shown_name(spec: ImageSpec, folder: Path) -> str:
    """Return a Dockerfile's name for people: a path as they would type it, or an address, not a file of the cache."""
    name = spec.dockerfile or "Dockerfile"
    if parse_address(name):
        return name
    context = parse_address(spec.context or "")
    if isinstance(context, GitAddress):
        # As in an address of a folder, the path in the repository stands behind the ref.
        inside = f"{context.folder}/{name}" if context.folder else name
        return f"{context.repository}#{context.ref or ''}:{inside}"
    return str(folder / name)


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
