"""An image that a script made: a snapshot of the container that it ran in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from skyport_wf.errors import UsageError
from skyport_wf.records.records import Source, encode_json
from skyport_wf.sources.base import find_base
from skyport_wf.sources.listed import ListedImage, MadeImage, digest_of

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.spec import Snapshot


def needed(image: ListedImage) -> tuple[str, ...]:
    """Return the base image, if it is one of the list."""
    return image.listed((_snapshot(image).base,))


def describe(image: ListedImage, needs: Mapping[str, str]) -> Source:
    """Return what the image is made from. Raises UsageError if the script cannot be read.

    needs: the source digests of the images of the list that it is made from, by name.
    """
    script = _read_script(image)
    decides = {
        "base": _snapshot(image).base,
        "script": digest_of(script),
        "commit": image.spec.commit,
        "needs": dict(needs),
    }
    return Source(kind="snapshot", digest=digest_of(encode_json(decides)), script=script.decode(errors="replace"))


def make(engine: APIClient, image: ListedImage, output: Callable[[str], None]) -> MadeImage:
    """Run the script in a fresh container and commit it; the container is removed whatever happens."""
    from skyport_wf.engine.containers import commit_container
    from skyport_wf.engine.images import require_image
    from skyport_wf.engine.scripts import run_script

    spec, base = image.spec, _snapshot(image).base
    require_image(engine, base)
    with run_script(engine, base, _read_script(image), spec.reference, output) as (container, command):
        image_id = commit_container(engine, container, spec.reference, spec.commit, command)
    return MadeImage(image_id, find_base(engine, base))


def _read_script(image: ListedImage) -> bytes:
    path = image.folder / _snapshot(image).script
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"image {image.spec.name}: cannot read the script {path}: {error.strerror}") from error


def _snapshot(image: ListedImage) -> Snapshot:
    if image.spec.snapshot is None:
        raise UsageError(f"image {image.spec.name} is not a snapshot")
    return image.spec.snapshot
