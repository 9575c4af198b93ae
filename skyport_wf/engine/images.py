"""Images that the engine has: looking at them, tagging, exporting and loading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

import msgspec

from skyport_wf.engine.connection import engine_errors
from skyport_wf.errors import EngineError
from skyport_wf.image.archive.tar_reader import ByteStream

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.reference import ImageReference


class EngineImage(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker inspect` says of an image."""

    id: str
    """The config digest on a classic image store, a manifest digest on containerd's."""
    repo_tags: tuple[str, ...] | None = None


def find_image(client: APIClient, name: str) -> EngineImage | None:
    """Return the image that the engine has under a name or an id, None if it has none."""
    from docker.errors import ImageNotFound

    with engine_errors(f"looking for the image {name}"):
        try:
            return msgspec.convert(client.inspect_image(name), EngineImage)
        except ImageNotFound:
            return None


def require_image(client: APIClient, name: str, *, wanted_by: str = "") -> EngineImage:
    """Return the image that the engine has under a name or an id.

    wanted_by: the image that needs it, for the message.
    Raises EngineError if it has none.
    """
    if found := find_image(client, name):
        return found
    whose = f"image {wanted_by}: " if wanted_by else ""
    raise EngineError(f"{whose}the engine has no image {name}. `docker image ls` shows what it has.")


def tag_image(client: APIClient, image_id: str, reference: ImageReference) -> None:
    """Give the image another name."""
    with engine_errors(f"tagging {image_id} as {reference}"):
        client.tag(image_id, reference.repository, reference.tag)


@contextmanager
def export_image(client: APIClient, name: str) -> Iterator[ByteStream]:
    """Open what `docker save NAME` would write, as a stream that comes straight from the engine.

    The package's own `get_image` hands out pieces of 32 KiB; reading the response runs three times as fast.
    Raises EngineError if there is no such image, TemporaryError if the engine dies on the way.
    """
    with engine_errors(f"saving {name}"):
        url = f"{client.base_url}/v{client.api_version}/images/{quote(name, safe='')}/get"
        response = client.get(url, stream=True, timeout=(10, None))
        try:
            if not response.ok:
                raise EngineError(f"the engine failed at saving {name}: {_message(response)}")
            yield _ExportStream(cast(BinaryIO, response.raw), name)
        finally:
            response.close()


class _ExportStream:
    """Reads an export, and tells a broken engine from whatever else goes wrong around the stream.

    The one who reads may be sending the bytes on to a server, so an error of the engine's connection
    has to be ours before it passes through the other connection's code.
    """

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self._raw = raw
        self._name = name

    def read(self, size: int, /) -> bytes:
        with engine_errors(f"saving {self._name}"):
            return self._raw.read(size)


def load_image(client: APIClient, archive: Iterator[bytes], name: str) -> None:
    """Load a Docker archive, gzipped or not, into the engine.

    Raises EngineError with the engine's words if it is refused.
    """
    with engine_errors(f"loading {name}"):
        for line in client.load_image(archive, quiet=True):
            if "error" in line:
                raise EngineError(f"the engine failed at loading {name}: {line['error']}")


def _message(response: Any) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
