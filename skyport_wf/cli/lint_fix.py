"""`skyport-wf lint --fix`: the Dockerfiles of this machine, mended or shown as they would be."""

from __future__ import annotations

import argparse
import difflib
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import shock_if_needed
from skyport_wf.errors import SkyportError
from skyport_wf.formatting import terminal_text
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import replace_file

if TYPE_CHECKING:
    from skyport_wf.image_list.spec import ImageSpec
    from skyport_wf.lint.images import LintedFile
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient

_log = logging.getLogger(__name__)


def fix_files(files: Sequence[LintedFile], args: argparse.Namespace) -> list[str]:
    """Mend the Dockerfiles, or with `--dry-run` leave them; return what is different, as diffs."""
    from skyport_wf.lint.fix import fix_dockerfile
    from skyport_wf.lint.images import LARGEST
    from skyport_wf.lint.rules.packages import APT_UNPINNED

    diffs = []
    with shock_if_needed(args) as shock:
        for path, file, images in _dockerfiles(files, args):
            before = read_bounded(path, LARGEST)
            is_any_unpinned = any(finding.code == APT_UNPINNED.code for finding in file.findings)
            after = fix_dockerfile(before, file.findings, _versions(before, images, shock) if is_any_unpinned else {})
            if after != before:
                if not args.dry_run:
                    _write(path, after)
                    _log.info("mended %s", file.file)
                diffs.append(_diff(before, after, file.file))
    return diffs


def _write(path: Path, content: bytes) -> None:
    """Replace a file: where a link leads, and with its mode as it was."""
    target = path.resolve()
    mode = target.stat().st_mode
    with replace_file(target) as written:
        written.write(content)
    target.chmod(mode & 0o7777)


def _dockerfiles(
    files: Sequence[LintedFile], args: argparse.Namespace
) -> Iterator[tuple[Path, LintedFile, Sequence[ImageSpec]]]:
    """Yield the Dockerfiles among the files that were checked, each once, which are on this machine.

    With each are all images of the list that are made from it, those that were not asked for, too.
    """
    from skyport_wf.image_list.images_yaml import read_image_list

    images: dict[str, list[ImageSpec]] = {}
    if args.dockerfile:
        images = {str(path): [] for path in args.dockerfile}
    else:
        for image in read_image_list(args.images).images:
            if image.dockerfile and "://" not in image.dockerfile and "://" not in (image.context or ""):
                images.setdefault(str(args.images.parent / image.dockerfile), []).append(image)
    for file in files:
        if file.file in images:
            yield Path(file.file), file, images.pop(file.file)


def _versions(
    content: bytes, images: Sequence[ImageSpec], shock: Callable[[], Shock]
) -> Mapping[int, Mapping[str, str]]:
    """Return the versions of Debian packages, by the line of each instruction that a published image is made of.

    content: of the Dockerfile of these images.
    Of several images, only what is the same in all of them counts: they may be built on different releases.
    """
    versions: dict[int, Mapping[str, str]] = {}
    for image in images:
        lines = _built_lines(content, image)
        try:
            of_image = _published_versions(image.name, shock().user)
        except SkyportError as error:
            _log.info("versions of packages are not known: %s", error)
            return {}
        versions |= {line: _same(versions.get(line, of_image), of_image) for line in lines}
    return versions


def _built_lines(content: bytes, image: ImageSpec) -> list[int]:
    """Return the lines on which the instructions begin that an image is made of; other stages may have another base."""
    from skyport_wf.image.dockerfile import built_stages, global_arguments, read_stages, stages_up_to
    from skyport_wf.image.instructions import read_instructions

    instructions = read_instructions(content)
    arguments = global_arguments(instructions, image.build_args, image.normalized_platform)
    chain = built_stages(stages_up_to(image.target, read_stages(instructions, arguments)))
    return [found.line for stage in chain for found in stage.instructions]


def _published_versions(name: str, shock: ShockClient) -> Mapping[str, str]:
    """Return the versions of the Debian packages in the image of a name, as its node lists them."""
    from skyport_wf.publication.package_lists import listed_packages
    from skyport_wf.publication.published import find_published

    lists = [listed_packages(one.node) for one in find_published(shock, name)]
    found = [{one.name: one.version for one in (some.packages if some else ()) if one.kind == "deb"} for some in lists]
    return functools.reduce(_same, found) if found else {}


def _same(some: Mapping[str, str], others: Mapping[str, str]) -> Mapping[str, str]:
    return some if some is others else dict(some.items() & others.items())


def _diff(before: bytes, after: bytes, name: str) -> str:
    texts = [text.decode(errors="replace").splitlines(keepends=True) for text in (before, after)]
    lines = difflib.unified_diff(texts[0], texts[1], name, f"{name}, mended")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in map(terminal_text, lines)).rstrip("\n")
