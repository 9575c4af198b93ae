"""Bytes that lower layers hold although the image no longer shows them: files deleted or overwritten further up.

Every layer is downloaded, stored and loaded whole, so such bytes are paid for by everyone and used by nobody.
Only the content of files counts as waste, not the headers and padding of the tars.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from skyport_wf.image.layers.file_index import FileIndex, HiddenFile
from skyport_wf.image.layers.stacking import HiddenHow, path_bytes, path_of, stack

LARGEST: Final = 20
"""Wasted files that are named."""
MAX_LINKS: Final = 20_000
"""Paths of links that are kept, as following one takes some time; an image has some hundred packages."""
_BATCH: Final = 1000


class WastedFile(msgspec.Struct, frozen=True):
    """A file that a layer holds and the image does not show."""

    path: str
    """From the root, without a leading `/`; bytes that are no UTF-8 as escapes."""
    size: int
    """Bytes of its content."""
    layer: int
    """The number of the layer that holds it, the lowest being 1."""
    hidden_by: int
    """The number of the lowest layer that hides it."""
    how: HiddenHow


class Waste(msgspec.Struct, frozen=True):
    """Files that an image's layers hold in vain."""

    by_layer: tuple[int, ...]
    """Bytes of hidden files in each layer, the lowest first."""
    largest: tuple[WastedFile, ...]
    """The largest hidden files, the largest first."""
    documents: tuple[int, ...]
    """The numbers of those files with a number that the image shows."""
    links: tuple[bytes, ...] = ()
    """Paths of what is searched for at the links and files that the image shows; no more than `MAX_LINKS`."""
    more_links: int = 0
    """How many more there are."""

    @property
    def total(self) -> int:
        """Bytes in all layers."""
        return sum(self.by_layer)


def find_waste(
    index: FileIndex,
    layers: int,
    *,
    largest: int = LARGEST,
    behind: Callable[[bytes, int | None], Iterable[bytes]] = lambda path, document: (),
) -> Waste:
    """Return the files that an image's layers hold in vain.

    index: all that the layers do, stacked.
    layers: how many there are.
    behind: takes a path and the number of the file there, None for a link; returns the paths to search for there.
    A hard link is another name of its file: the bytes count as shown while one of the names in that layer shows.
    """
    documents: list[int] = []
    links: list[bytes] = []
    more_links = 0
    hidden: list[HiddenFile] = []
    for entry, hiding in stack(index.in_order()):
        if hiding is not None:
            if entry.kind == "file" and entry.size:
                hidden.append(HiddenFile(entry.place, entry.key, entry.size, hiding.by, hiding.how))
        elif entry.kind == "hard link":
            index.keep(entry.place, entry.target)
        elif entry.document is not None:
            documents.append(entry.document)
        if hiding is None and (entry.document is not None or entry.kind in ("hard link", "symbolic link")):
            found = [*behind(path_bytes(entry.key), entry.document)]
            room = MAX_LINKS - len(links)
            links += found[:room]
            more_links += len(found[room:])
        if len(hidden) == _BATCH:
            index.hide(hidden)
            hidden.clear()
    index.hide(hidden)
    index.forget_kept()
    by_layer = index.hidden_bytes()
    return Waste(
        by_layer=tuple(by_layer.get(place, 0) for place in range(layers)),
        largest=tuple(
            WastedFile(path_of(file.key), file.size, file.place + 1, file.by + 1, file.how)
            for file in index.largest_hidden(largest)
        ),
        documents=tuple(documents),
        links=tuple(links),
        more_links=more_links,
    )
