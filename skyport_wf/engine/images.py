"""Images that the engine has: looking at them, tagging, exporting and loading them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import quote

import msgspec

from skyport_wf.byte_streams import ByteStream
from skyport_wf.decoding import convert
from skyport_wf.engine.connection import answers_closed, engine_errors, engine_words
from skyport_wf.engine.podman import hub_name, names_to_find, own_name
from skyport_wf.errors import EngineError, TemporaryError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference


_CONFLICT = 409
_LISTING_ATTEMPTS, _LISTING_PAUSE = 5, 0.5
"""How often images are listed, and seconds in between at most."""
_MANIFESTS_API: Final = (1, 48)
"""The API version of Docker 28.0, the first that tells which manifests of an image are there whole."""
_LOADED = re.compile(r"Loaded image(?: ID)?(?:\(s\))?: (\S+)")
"""An archive without a name gives an id; Docker and podman have the same words."""


class RootFilesystem(msgspec.Struct, frozen=True, rename="pascal"):
    """The layers of an image."""

    layers: tuple[str, ...] = ()
    """The diff ids of the layers, the lowest first."""


class EngineConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The settings that an image has for containers that are made from it."""

    volumes: dict[str, dict[str, str]] | None = None
    """By their paths."""


class EngineImage(msgspec.Struct, frozen=True, rename="pascal"):
    """An image as `docker inspect` describes it."""

    id: str
    """The config digest on a classic image store, a manifest digest on containerd's."""
    repo_tags: tuple[str, ...] | None = None
    size: int = 0
    """Bytes of its layers."""
    root_fs: RootFilesystem = msgspec.field(name="RootFS", default=RootFilesystem())
    repo_digests: tuple[str, ...] | None = None
    """Names by which registries know it."""
    config: EngineConfig | None = None
    os: str = ""
    architecture: str = ""
    variant: str = ""

    @property
    def platform(self) -> str:
        """What it is for, as far as it says: such as `linux/arm64/v8`."""
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class _Manifest(msgspec.Struct, frozen=True, rename="pascal"):
    """A manifest of an image in containerd's store: of the image for one platform, or of an attestation."""

    kind: str = ""
    available: bool = True
    """Whether all its layers are there."""


class _Manifests(msgspec.Struct, frozen=True, rename="pascal"):
    """The manifests of an image; None where an engine keeps none."""

    manifests: tuple[_Manifest, ...] | None = None


def find_image(client: APIClient, name: str) -> EngineImage | None:
    """Return the image that the engine has under a name or an id, None if it has none."""
    found = (_inspect(client, spelling) for spelling in names_to_find(client, name))
    return next((image for image in found if image), None)


def _inspect(client: APIClient, name: str) -> EngineImage | None:
    from docker.errors import ImageNotFound

    with engine_errors(f"looking for the image {name}"):
        try:
            return convert(client.inspect_image(name), EngineImage)
        except ImageNotFound:
            return None


def is_whole(client: APIClient, image: EngineImage) -> bool:
    """Return whether the engine has all layers of an image, as far as it tells.

    containerd's store may lack some, and no container starts then: an image that is loaded takes layers of images that
    are gone, and if these are cleared away at that moment, it has them no more.
    """
    if tuple(map(int, client.api_version.split("."))) < _MANIFESTS_API:
        return True
    with engine_errors(f"looking for the layers of {image.id}"):
        url = f"{client.base_url}/v{client.api_version}/images/{quote(image.id, safe='')}/json"
        answer = client.get(url, params={"manifests": "1"})
        if not answer.ok:
            return False
        manifests = convert(answer.json(), _Manifests).manifests
    # Of an image for several platforms, the engine needs one.
    images = [one for one in manifests or () if one.kind == "image"]
    return not images or any(one.available for one in images)


def require_image(client: APIClient, name: str, *, wanted_by: str = "") -> EngineImage:
    """Return the image that the engine has under a name or an id.

    wanted_by: the image that needs it, for the message.
    Raises EngineError if it has none, or, in podman, one of Docker Hub and another one of its own.
    """
    found = [image for spelling in names_to_find(client, name) if (image := _inspect(client, spelling))]
    images = list({image.id: image for image in found}.values())
    if len(images) == 1:
        return images[0]
    whose = f"image {wanted_by}: " if wanted_by else ""
    if images:
        names = ", ".join(name for image in images for name in image.repo_tags or (image.id,))
        raise EngineError(f"{whose}podman has several images {name}: {names}. Say which one is meant, or untag one.")
    raise EngineError(f"{whose}the engine has no image {name}. `docker image ls` shows what it has.")


@contextmanager
def vanished_is_temporary(connect: Callable[[], APIClient], image_id: str | None, name: str) -> Iterator[None]:
    """Raise TemporaryError where the engine fails because it has an image no more, which was there a moment ago.

    connect: as `one_connection` returns it.
    image_id: the engine's; None for an image that comes from elsewhere.
    name: what messages call it.
    """
    try:
        yield
    except EngineError as error:
        if not image_id or find_image(connect(), image_id):
            raise
        # From an image that loses its only name to a build nothing is left in containerd's store.
        raise TemporaryError(
            f"publishing {name}: the engine has the image no more. Another build has taken the name meanwhile, or "
            "somebody has removed it. Run it again."
        ) from error


def name_in_engine(client: APIClient, name: str) -> str:
    """Return the engine's own name of the image that is asked for by `name`; `name` itself if it has none."""
    return next((spelling for spelling in names_to_find(client, name) if _inspect(client, spelling)), name)


def tag_image(client: APIClient, image_id: str, reference: ImageReference) -> None:
    """Give the image another name. Other images lose it, under whatever registry podman has it."""
    with engine_errors(f"tagging {image_id} as {reference}"):
        client.tag(image_id, own_name(client, reference.repository), reference.tag)
        hub = hub_name(client, reference.repository)
        if hub and (other := _inspect(client, f"{hub}:{reference.tag}")) and other.id != image_id:
            client.tag(image_id, hub, reference.tag)


def list_image_ids(client: APIClient) -> frozenset[str]:
    """Return the ids of all images that the engine has, with those that only others are built on."""
    import tenacity
    from docker.errors import NotFound

    # On containerd's store, listing fails if somebody removes an image at that moment.
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NotFound),
        stop=tenacity.stop_after_attempt(_LISTING_ATTEMPTS),
        wait=tenacity.wait_random(max=_LISTING_PAUSE),
        reraise=True,
    )
    with engine_errors("listing its images"):
        return frozenset(again(client.images, quiet=True, all=True))


def remove_image(client: APIClient, name: str) -> bool:
    """Take a name off an image, or remove a nameless one by its id, and return whether that is done.

    It is not while a container is using the image. An image goes with its last name; what it is built on stays.
    """
    from docker.errors import APIError, NotFound

    with engine_errors(f"removing the image {name}"):
        try:
            client.remove_image(name, noprune=True)
        except NotFound:
            return True
        except APIError as error:
            if error.status_code == _CONFLICT:
                return False
            raise
    return True


def pull_image(
    client: APIClient, name: str, *, platform: str | None, wanted_by: str, output: Callable[[str], None]
) -> None:
    """Have the engine fetch an image from its registry, also if it has one of this name.

    platform: what it is for; the engine's own if None.
    wanted_by: the image that needs it, for the message.
    output: called with each line that tells how far that is.
    Raises EngineError if the registry does not give it.
    """
    with engine_errors(f"pulling {name}, which {wanted_by} is built on"), answers_closed(client):
        for said in client.pull(name, platform=platform, stream=True, decode=True):
            line = convert(said, dict[str, Any])
            if "error" in line:
                raise EngineError(
                    f"the engine failed at pulling {name}, which {wanted_by} is built on: {engine_words(line['error'])}"
                )
            # Of a layer, there is a line for each piece of it.
            if "progressDetail" not in line:
                output(f"{line.get('status', '')}\n")


@contextmanager
def export_image(client: APIClient, name: str) -> Iterator[ByteStream]:
    """Open the archive that `docker save NAME` would write, as a stream that comes straight from the engine.

    Raises EngineError if there is no such image, TemporaryError if the engine dies on the way.
    """
    from skyport_wf.http_session import AS_IT_IS

    with engine_errors(f"saving {name}"):
        url = f"{client.base_url}/v{client.api_version}/images/{quote(name, safe='')}/get"
        # The package's own `get_image` hands out pieces of 32 KiB; reading the response runs three times as fast.
        response = client.get(url, headers=AS_IT_IS, stream=True, timeout=(10, None))
        try:
            if not response.ok:
                try:
                    reason = str(response.json()["message"])
                except (ValueError, KeyError, TypeError):
                    reason = f"HTTP {response.status_code}"
                if "empty export" in reason:
                    # Docker's classic store, of an image without layers: FROM scratch, and nothing but settings.
                    reason = "the image has no files. Give its Dockerfile a COPY, or a base image"
                raise EngineError(f"the engine failed at saving {name}: {engine_words(reason)}")
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


def load_image(client: APIClient, archive: Iterator[bytes], name: str) -> EngineImage:
    """Load an uncompressed Docker archive into the engine, and return the image that it has now.

    name: what messages call it.
    Raises EngineError with the engine's words if the archive is refused.
    """
    loaded = None
    with engine_errors(f"loading {name}"):
        for said in client.load_image(archive, quiet=True):
            line = convert(said, dict[str, Any])
            if "error" in line:
                raise EngineError(f"the engine failed at loading {name}: {engine_words(line['error'])}")
            loaded = loaded or _LOADED.search(str(line.get("stream", "")))
    if loaded is None or (image := _inspect(client, loaded[1])) is None:
        raise EngineError(f"the engine did not say what it loaded of {name}. `skyport-wf doctor` checks the engine.")
    return image
