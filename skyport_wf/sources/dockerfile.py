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
from skyport_wf.image_list.addresses import GitAddress, parse_address
from skyport_wf.image_list.spec import BuildSecret, ImageSpec
from skyport_wf.records.records import GitOrigin, Source, encode_json
from skyport_wf.sources.base import find_base
from skyport_wf.sources.listed import ListedImage, MadeImage, digest_of
from skyport_wf.sources.materials import find_materials

if TYPE_CHECKING:
    from docker import APIClient


def find_context(image: ListedImage) -> BuildContext:
    """Return the context that the image is built in, on this machine.

    Raises UsageError if the Dockerfile or the folder is not there, and what find_materials raises for addresses.
    """
    return find_materials(image).context


def moving_reference(image: ListedImage) -> GitOrigin | None:
    """Return what the image's git address means now, if that can change: without a ref, with a branch or a tag.

    None for an image without a git address, and for one that names a commit. Raises what find_materials raises.
    """
    spec = image.spec
    addresses = (parse_address(text or "") for text in (spec.dockerfile, spec.context))
    if any(isinstance(address, GitAddress) and not address.commit for address in addresses):
        return find_materials(image).git
    return None


def read_dockerfile(image: ListedImage) -> Dockerfile:
    """Return the image's Dockerfile. Raises UsageError if it cannot be read, and what find_materials raises."""
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
    materials = find_materials(image)
    context_digest = digest_context(materials.context)
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
        dockerfile_url=materials.dockerfile_url,
        git=materials.git,
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
