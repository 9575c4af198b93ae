"""What an image is made from, as a digest: the same digest, the same image."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from skyport_wf.errors import UsageError
from skyport_wf.image.context import BuildContext, digest_context
from skyport_wf.image.dockerfile import Dockerfile, parse_dockerfile
from skyport_wf.records import Source, encode_json
from skyport_wf.spec import ImageSpec


def digest_of(content: bytes) -> str:
    """Return `sha256:` and the SHA-256 of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def build_context(image: ImageSpec, folder: Path) -> BuildContext:
    """Return the context that a Dockerfile image is built in.

    folder: what the paths of the image list start from.
    Raises UsageError if the Dockerfile or the folder is not there.
    """
    dockerfile = folder / (image.dockerfile or "Dockerfile")
    if not dockerfile.is_file():
        raise UsageError(
            f"image {image.name}: there is no Dockerfile {dockerfile}. Mend `dockerfile` in the image list."
        )
    root = folder / image.context if image.context else dockerfile.parent
    if not root.is_dir():
        raise UsageError(f"image {image.name}: there is no folder {root}. Mend `context` in the image list.")
    return BuildContext(root, dockerfile)


def read_dockerfile(image: ImageSpec, folder: Path) -> Dockerfile:
    """Return the image's Dockerfile. Raises UsageError if it cannot be read."""
    context = build_context(image, folder)
    try:
        content = context.dockerfile.read_bytes()
    except OSError as error:
        raise UsageError(f"image {image.name}: cannot read {context.dockerfile}: {error.strerror}") from error
    return parse_dockerfile(content, build_args=image.build_args, target=image.target)


def named_images(image: ImageSpec, folder: Path) -> tuple[str, ...]:
    """Return the images that the Dockerfile names, none for an image that is not built."""
    return read_dockerfile(image, folder).images if image.dockerfile else ()


def read_dockerfile_source(image: ImageSpec, folder: Path, needs: Mapping[str, str]) -> Source | None:
    """Return what a Dockerfile image is made from; None for an image that is not built.

    needs: the source digests of the images of the list that it is built on, by name.
    """
    if image.dockerfile is None:
        return None
    dockerfile = read_dockerfile(image, folder)
    context_digest = digest_context(build_context(image, folder))
    decides = {
        "dockerfile": dockerfile.digest,
        "context": context_digest,
        "build_args": image.build_args,
        "target": image.target,
        "platform": image.platform,
        "labels": image.labels,
        "needs": dict(needs),
    }
    return Source(
        kind="dockerfile",
        digest=digest_of(encode_json(decides)),
        dockerfile=base64.b64encode(dockerfile.content).decode(),
        dockerfile_digest=dockerfile.digest,
        context_digest=context_digest,
    )
