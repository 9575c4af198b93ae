"""`skyport-wf lint --fix`: the Dockerfiles of this machine, mended or shown as they would be."""

from __future__ import annotations

import argparse
import difflib
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
    from skyport_wf.lint.images import LintedFile
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


def fix_files(files: Sequence[LintedFile], args: argparse.Namespace) -> list[str]:
    """Mend the Dockerfiles, or with `--dry-run` leave them; return what is different, as diffs."""
    from skyport_wf.lint.fix import fix_dockerfile
    from skyport_wf.lint.images import LARGEST

    diffs = []
    with shock_if_needed(args) as shock:
        for path, file in _dockerfiles(files, args):
            before = read_bounded(path, LARGEST)
            after = fix_dockerfile(before, file.findings, _versions(file, shock))
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


def _dockerfiles(files: Sequence[LintedFile], args: argparse.Namespace) -> Iterator[tuple[Path, LintedFile]]:
    """Yield the Dockerfiles among the files that were checked, each once, which are on this machine."""
    from skyport_wf.image_list.images_yaml import read_image_list

    if args.dockerfile:
        paths = {str(path) for path in args.dockerfile}
    else:
        listed = read_image_list(args.images).images
        paths = {
            str(args.images.parent / image.dockerfile)
            for image in listed
            if image.dockerfile and "://" not in image.dockerfile and "://" not in (image.context or "")
        }
    for file in files:
        if file.file in paths:
            paths.discard(file.file)
            yield Path(file.file), file


def _versions(file: LintedFile, shock: Callable[[], Shock]) -> Mapping[str, str]:
    """Return the versions of the Debian packages in the published image of this Dockerfile, as its node lists them."""
    from skyport_wf.lint.rules.packages import APT_UNPINNED
    from skyport_wf.publication.package_lists import listed_packages
    from skyport_wf.publication.published import find_published

    if not file.images or not any(finding.code == APT_UNPINNED.code for finding in file.findings):
        return {}
    try:
        nodes = [one.node for name in file.images for one in find_published(shock().user, name)]
    except SkyportError as error:
        _log.info("versions of packages are not known: %s", error)
        return {}
    lists = filter(None, map(listed_packages, nodes))
    return {package.name: package.version for one in lists for package in one.packages if package.kind == "deb"}


def _diff(before: bytes, after: bytes, name: str) -> str:
    texts = [text.decode(errors="replace").splitlines(keepends=True) for text in (before, after)]
    lines = difflib.unified_diff(texts[0], texts[1], name, f"{name}, mended")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in map(terminal_text, lines)).rstrip("\n")
