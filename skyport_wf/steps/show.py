"""What is in an image: its layers, the bytes that are wasted or shared, its packages. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from skyport_wf.attributes import read_attributes
from skyport_wf.awe import IMAGE_TYPE
from skyport_wf.errors import TemporaryError, root_cause
from skyport_wf.image.archive.tar_reader import ByteStream
from skyport_wf.image.contents import Layer
from skyport_wf.steps.resolve import resolve

if TYPE_CHECKING:
    from skyport_wf.image.examination.examine import ImageFindings
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


def examine_published(
    shock: ShockClient, asked: str, *, progress: Callable[[int], None] = lambda size: None
) -> tuple[str, ImageFindings, tuple[str, ...]]:
    """Return the name, the findings and what is wrong with the node of the image that an AWE worker would get.

    asked: REPO or REPO:TAG. The node's file is read as it comes; it is neither stored nor loaded.
    Raises AweLookupError if a worker would get none, ArchiveError if the file is no image, TemporaryError if the
    download breaks off.
    """
    from skyport_wf.image.archive.archive_stream import ArchiveStream
    from skyport_wf.image.examination.examine import examine_archive

    node = resolve(shock, asked)
    attributes = node.attributes or {}
    name = str(attributes["name"])
    with shock.download(node.id) as stream:
        download = _Download(stream, node, name, progress)
        found = examine_archive(ArchiveStream(download, name=f"the file of {name} (node {node.id})"))
    return name, found, _differences(node, found)


def examine_file(path: Path, *, progress: Callable[[int], None] = lambda size: None) -> ImageFindings:
    """Return what the archive in a file tells, gzipped or not. Raises ArchiveError if it is none."""
    from skyport_wf.image.archive.archive_file import open_archive

    with open_archive(path) as stream:
        return _examine(stream, progress)


def examine_in_engine(name: str, *, progress: Callable[[int], None] = lambda size: None) -> ImageFindings:
    """Return what the engine's export of the image tells. Raises EngineError if it has none of this name or id."""
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.images import export_image

    with export_image(connect(), name) as stream:
        return _examine(stream, progress, name=f"the engine's export of {name}")


def read_published_layers(
    shock: ShockClient, *, but: str, names: Sequence[str] | None
) -> Mapping[str, Sequence[Layer]]:
    """Return the layers of the published images, by name, as their nodes tell them; no file is downloaded.

    but: the name of the image that is to be compared with them.
    names: the images that count; all of this Shock if None.
    """
    found = filter(None, (read_attributes(node.attributes) for node in shock.query({"type": IMAGE_TYPE})))
    return {
        attributes.name: attributes.skyport_wf.layers
        for attributes in found
        if attributes.skyport_wf and attributes.name != but and (names is None or attributes.name in names)
    }


def _examine(stream: ByteStream, progress: Callable[[int], None], *, name: str = "") -> ImageFindings:
    from skyport_wf.image.archive.archive_stream import CountedStream
    from skyport_wf.image.examination.examine import examine_archive

    return examine_archive(CountedStream(stream, progress, name=name))


def _differences(node: Node, found: ImageFindings) -> tuple[str, ...]:
    """Return what the node says of its image that is not so: an AWE worker would refuse to run it."""
    said = str((node.attributes or {}).get("id"))
    if said == found.contents.image_id:
        return ()
    return (f"its node says that it is image {said}, so no AWE worker runs it. Publish it again",)


class _Download:
    """A node's file as it comes, which has to come whole."""

    def __init__(self, stream: BinaryIO, node: Node, name: str, progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._size = node.file.size
        self._name = name
        self._progress = progress
        self._received = 0

    def read(self, size: int, /) -> bytes:
        with self._broken_connection():
            piece = self._stream.read(size)
        self._received += len(piece)
        self._progress(len(piece))
        if not piece and self._received < self._size:
            raise self._broke_off("the connection ended")
        return piece

    @contextmanager
    def _broken_connection(self) -> Iterator[None]:
        import urllib3

        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._broke_off(root_cause(error)) from error

    def _broke_off(self, reason: str) -> TemporaryError:
        return TemporaryError(
            f"the download of {self._name} broke off after {self._received} of {self._size} bytes: {reason}. Try again."
        )
