"""An image that is built from a Dockerfile."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.context import BuildContext, digest_context
from skyport_wf.image.dockerfile import SCRATCH, Dockerfile, parse_dockerfile
from skyport_wf.records import Source, encode_json
from skyport_wf.spec import BuildSecret, ImageSpec
from skyport_wf.steps.sources.base import find_base
from skyport_wf.steps.sources.listed import ListedImage, MadeImage, digest_of

if TYPE_CHECKING:
    from docker import APIClient


def find_context(image: ListedImage) -> BuildContext:
    """Return the context that the image is built in. Raises UsageError if the Dockerfile or the folder is not there."""
    spec = image.spec
    dockerfile = image.folder / (spec.dockerfile or "Dockerfile")
    if not dockerfile.is_file():
        raise UsageError(
            f"image {spec.name}: there is no Dockerfile {dockerfile}. Mend `dockerfile` in the image list."
        )
    root = image.folder / spec.context if spec.context else dockerfile.parent
    if not root.is_dir():
        raise UsageError(f"image {spec.name}: there is no folder {root}. Mend `context` in the image list.")
    return BuildContext(root, dockerfile)


def read_dockerfile(image: ListedImage) -> Dockerfile:
    """Return the image's Dockerfile. Raises UsageError if it cannot be read."""
    path = find_context(image).dockerfile
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"image {image.spec.name}: cannot read {path}: {error.strerror}") from error
    return parse_dockerfile(content, build_args=image.spec.build_args, target=image.spec.target)


def needed(image: ListedImage) -> tuple[str, ...]:
    """Return the images of the list that the Dockerfile names."""
    return image.listed(read_dockerfile(image).images)


def describe(image: ListedImage, needs: Mapping[str, str]) -> Source:
    """Return what the image is made from.

    needs: the source digests of the images of the list that it is built on, by name.
    """
    spec = image.spec
    dockerfile = read_dockerfile(image)
    context_digest = digest_context(find_context(image))
    decides: dict[str, object] = {
        "dockerfile": dockerfile.digest,
        "context": context_digest,
        "build_args": spec.build_args,
        "target": spec.target,
        "platform": spec.platform,
        "labels": spec.labels,
        "needs": dict(needs),
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        # BuildKit puts this time into the image.
        decides["SOURCE_DATE_EPOCH"] = epoch
    return Source(
        kind="dockerfile",
        digest=digest_of(encode_json(decides)),
        dockerfile=base64.b64encode(dockerfile.content).decode(),
        dockerfile_digest=dockerfile.digest,
        context_digest=context_digest,
    )


def make(engine: APIClient, image: ListedImage, output: Callable[[str], None]) -> MadeImage:
    """Build the image."""
    from skyport_wf.engine.builders import build_image

    base = read_dockerfile(image).base
    image_id = build_image(engine, _with_places(image), find_context(image), output)
    return MadeImage(image_id, None if base == SCRATCH else find_base(engine, base))


def _with_places(image: ListedImage) -> ImageSpec:
    """Return the image with the files of its build secrets as seen from here."""
    secrets = {
        name: BuildSecret(env=secret.env, file=secret.file and str(image.folder / Path(secret.file).expanduser()))
        for name, secret in image.spec.secrets.items()
    }
    return msgspec.structs.replace(image.spec, secrets=secrets)
