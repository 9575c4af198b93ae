"""Layers that engines refuse to load, found without an engine.

An engine unpacks the tar of a layer into a folder of its own, entry by entry, and only then puts the layers over each
other. So an entry fails by what is before it in its own layer, never by what other layers hold. Found out by loading
such layers into Docker 20.10, 26 and 28 with overlay2, and into podman 4.3 and 5.4.
"""

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from skyport_wf.image.contents import ImageContents
from skyport_wf.image.layers.corrections import Corrections
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.image.layers.links import follow
from skyport_wf.image.layers.stacking import PlacedEntry, path_bytes, path_of, sort_key

MAX_LAYERS: Final = 125
"""Docker's limit, for the classic image store."""
_MOST: Final = 20
"""Problems that are named."""


class LoadProblem(msgspec.Struct, frozen=True):
    """A reason why engines refuse to load an image."""

    layer: int
    """The number of the layer, the lowest being 1; 0 if it is the image as a whole."""
    path: str
    """From the root, with a leading `/`; bytes that are no UTF-8 as escapes."""
    reason: str
    """A clause."""
    by: str = ""
    """The engines that refuse it; empty if no Docker loads it."""

    def __str__(self) -> str:
        return f"layer {self.layer}, {self.path}: {self.reason}" if self.layer else self.reason


def check_layers(index: FileIndex, contents: ImageContents | None = None) -> list[LoadProblem]:
    """Return the reasons why engines refuse to load an image, the first of them.

    index: all that the layers do, stacked. It is mended where engines unpack entries to another effect than their names
    alone tell: see `Corrections`.
    contents: of the image, if they are to be looked at, too.
    """
    problems: list[LoadProblem] = []
    if contents and contents.os not in ("", "linux"):
        problems.append(LoadProblem(0, "", f"it is an image for {contents.os}, and AWE workers run Linux"))
    if len(index.layers) > MAX_LAYERS:
        problems.append(LoadProblem(0, "", f"it has {len(index.layers)} layers, and Docker takes {MAX_LAYERS}"))
    places = {layer: place for place, layer in reversed([*enumerate(index.layers)])}
    for layer, path, flaw in index.flaws:
        if layer in places:
            shown = path_of(sort_key(path))
            problems.append(LoadProblem(places[layer] + 1, f"/{shown}", flaw.reason, flaw.by))
    for link in index.unlinked(_MOST):
        # The kernel follows the links on the way to the file, but not one that is the file.
        look = partial(index.in_layer, place=link.place, before=link.number)
        above, _, name = path_bytes(link.target).rpartition(b"/")
        folder = follow(above, look)
        found = look(b"/".join(filter(None, (folder, name)))) if folder is not None and name else None
        if found is None or found.kind == "folder" or link.target == link.key:
            problems.append(_broken_link(link))
        else:
            index.retarget(link.number, found.key)
    walk = _Walk(index)
    for problem in walk.problems():
        problems += [problem] if len(problems) < _MOST else []
    problems += map(_broken_link, index.links_to_removed(walk.corrections, _MOST))
    index.correct(walk.corrections)
    return problems


def _broken_link(link: PlacedEntry) -> LoadProblem:
    return _problem(link, f"it is a hard link to /{path_of(link.target)}, which is no file before it in its layer")


class _Place(NamedTuple):
    """A path at which some layer has something else than a folder."""

    key: bytes
    layers: dict[int, list[PlacedEntry]]
    """The entries of each layer, by its place."""


class _Walk:
    """Goes through all entries by path."""

    def __init__(self, index: FileIndex) -> None:
        self.corrections = Corrections()
        self._index = index

    def problems(self) -> Iterator[LoadProblem]:
        """Yield the problems that the entries of a layer make each other, and note what to correct."""
        above: list[_Place] = []
        for key, group in groupby(self._index.in_order(), attrgetter("key")):
            while above and not key.startswith(above[-1].key + b"\0"):
                above.pop()
            here: dict[int, list[PlacedEntry]] = {}
            for entry in group:
                here.setdefault(entry.place, []).append(entry)
            for place, entries in here.items():
                if all(entry.kind == "emptied" for entry in entries):
                    # Engines make the folder that a layer empties, where it does not have it.
                    self._imply(key, place, here)
                yield from self._clashes(entries)
                for folder in above:
                    yield from self._below(folder, place, entries)
            if not all(map(_is_folder, here.values())):
                above.append(_Place(key, here))

    def _below(self, folder: _Place, place: int, entries: list[PlacedEntry]) -> Iterator[LoadProblem]:
        """Look at entries of a layer that lie below a path that some layer has no folder at."""
        if place not in folder.layers:
            self._imply(folder.key, place, folder.layers)
            folder.layers[place] = []
        for entry in entries:
            events = folder.layers[place]
            if problem := self._blocked(entry, events):
                yield problem
                # Once is enough: there may be a million files below it.
                folder.layers[place] = []
            elif later := [other.number for other in events if other.number > entry.number and not _is_folder([other])]:
                self.corrections.remove(entry.number, by=min(later))
            elif any(other.kind == "symbolic link" for other in events):
                parent, slash, name = path_bytes(entry.key).rpartition(b"/")
                found = follow(parent, partial(self._index.in_layer, place=place, before=entry.number)) or b""
                if found and (taker := self._index.first_in_place_of(found, place=place, after=entry.number)):
                    self.corrections.remove(entry.number, by=taker)
                else:
                    self.corrections.move(entry.number, sort_key(found + (slash if found else b"") + name))

    def _imply(self, key: bytes, place: int, layers: dict[int, list[PlacedEntry]]) -> None:
        """Note a folder that engines make in a layer, if it takes the place of something else in the layer below."""
        lower = [other for other in layers if other < place]
        if lower and not _is_folder(layers[max(lower)]):
            self.corrections.imply(key, place)

    def _clashes(self, entries: list[PlacedEntry]) -> Iterator[LoadProblem]:
        """Yield the problems of entries that one layer has for one path."""
        if len(entries) == 1:
            return
        names: set[tuple[bool, str]] = set()
        for entry in sorted(entries, key=attrgetter("number")):
            earlier = [other for other in entries if other.number < entry.number]
            # Engines compare the names in the tar, without detours; a whiteout has another than its file.
            name = (entry.absolute, entry.kind if entry.kind in ("deleted", "emptied", "ignored") else "")
            if name in names:
                yield _problem(entry, "it is there twice in its layer")
            elif entry.kind == "deleted" and any(other.kind != "ignored" for other in earlier):
                yield _problem(entry, "its layer deletes it after it has made it")
            elif entry.kind == "emptied" and (problem := self._blocked(entry, earlier)):
                yield problem
            names.add(name)

    def _blocked(self, entry: PlacedEntry, folder: list[PlacedEntry]) -> LoadProblem | None:
        """Return the problem of an entry with a path above it.

        folder: all that the entry's layer has for that path.
        """
        for other in folder:
            if other.kind == "deleted" and other.number > entry.number:
                return _problem(other, "its layer deletes it after it has put something below it")
        earlier = [
            other for other in folder if other.number < entry.number and other.kind not in ("emptied", "ignored")
        ]
        if not earlier:
            return None
        last = max(earlier, key=attrgetter("number"))
        where = f"/{path_of(last.key)}"
        # To empty a folder, engines set an attribute of whatever is there, or where a link there leads.
        is_mark = entry.kind == "emptied" and entry.key == last.key
        if last.kind == "symbolic link":
            look = partial(self._index.in_layer, place=entry.place, before=entry.number)
            target = follow(path_bytes(last.key), look)
            found = look(target) if target else None
            if target == b"" or (found and (found.kind == "folder" or is_mark)):
                return None
            if target and found is None and self._index.is_implied(target, place=entry.place, before=entry.number):
                return None
            return _problem(entry, f"it lies below {where}, a link to a folder that is not before it in its layer")
        if last.kind == "folder" or is_mark:
            return None
        why = "which its layer deletes" if last.kind == "deleted" else "which is no folder"
        return _problem(entry, f"it lies below {where}, {why}")


def _is_folder(entries: list[PlacedEntry]) -> bool:
    return all(entry.kind in ("folder", "emptied", "ignored") for entry in entries)


def _problem(entry: PlacedEntry, reason: str) -> LoadProblem:
    return LoadProblem(entry.place + 1, f"/{path_of(entry.key)}", reason)
