"""The processes of a CWL document, and those of the files that it runs."""

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from skyport_wf.errors import UsageError
from skyport_wf.image_list.yaml_document import YamlDocument, decode_yaml, parse_yaml
from skyport_wf.input_file import is_absent, read_bounded

_LARGEST = 4 << 20
_MOST_FILES = 200
_MOST_IMPORTS = 200
_DEEPEST_IMPORT = 5
_TOO_DEEP = 2
"""Folders inside each other, through which AWE's submitter loses its way."""
_IMPORT = "$import"
TAKING_IN = (_IMPORT, "$include")
"""Fields that name a file whose content stands there."""


def read_cwl(path: Path) -> str:
    """Return the text of a document. Raises UsageError if it cannot be read."""
    try:
        return decode_yaml(read_bounded(path, _LARGEST), name=str(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def parse_cwl(text: str, *, name: str) -> YamlDocument:
    """Return the document in `text`; `name` is what messages call it. Raises UsageError if it is not YAML."""
    return parse_yaml(text, name=name, kind="a CWL document")


def graph_processes(graph: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the processes of a `$graph`, each with its id, without `#`."""
    processes = [item for item in graph if isinstance(item, dict)] if isinstance(graph, list) else []
    return [(str(process.get("id", "")).lstrip("#"), process) for process in processes]


def entries(
    owner: dict[str, Any], field: str, path: str = "", *, key: str = "id"
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, value and path of what stands in a field that CWL lets be a list or a mapping.

    key: what has the name in the list form. A value in a short form, such as a type alone, is yielded as `{}`. What is
        imported from a file that cannot be read is not known, and left out.
    """
    yield from _entries(owner.get(field), f"{path}.{field}", key)


def _entries(value: Any, path: str, key: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name != _IMPORT:
                yield str(name), item if isinstance(item, dict) else {}, f"{path}.{name}"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            place = f"{path}[{index}]"
            if isinstance(entry, list):
                # What an import brings into a list counts as if it stood there.
                yield from _entries(entry, place, key)
            elif not (isinstance(entry, dict) and _IMPORT in entry):
                item = entry if isinstance(entry, dict) else {}
                yield str(item.get(key, "")), item, place


def input_types(process: dict[str, Any]) -> dict[str, str]:
    """Return the types of a process's inputs as text, by their short names."""
    inputs = process.get("inputs")
    short = inputs if isinstance(inputs, dict) else {}
    return {
        short_name(name): str(value.get("type", "") if value else short.get(name) or "")
        for name, value, _ in entries(process, "inputs")
    }


def short_name(name: str) -> str:
    """Return the name of a parameter without those of what it belongs to, which packing puts before it."""
    return name.rpartition("/")[2].rpartition("#")[2]


def _seen_from(importing: tuple[str, ...], address: Any) -> Any:
    """Return the path of a file as it is seen from the folder of the document; what is no such path stays as it is.

    importing: as for `RunFiles.with_imports`.
    """
    if not importing or not isinstance(address, str) or address.startswith("#") or ":" in address:
        return address
    return posixpath.join(posixpath.dirname(importing[-1]), address)


def _is_file(key: str, value: Any) -> bool:
    """Return whether a field is a step's, and has its process in a file, which is a document to check by itself."""
    return key == "run" and isinstance(value, dict) and _IMPORT in value


def _find_part(value: Any, name: str) -> Any:
    """Return what has this id in a document, at any depth; None if nothing has."""
    if isinstance(value, dict):
        if str(value.get("id", value.get("name", ""))).lstrip("#") == name:
            return value
        value = [*value.values()]
    parts = (_find_part(item, name) for item in value) if isinstance(value, list) else ()
    return next((part for part in parts if part is not None), None)


class RunFiles:
    """Files that a document runs, by their paths as they are seen from its folder."""

    def __init__(self, folder: Path | None) -> None:
        """Read nothing yet.

        folder: where the document stands; None if that is not known, and so no file of it.
        """
        self._folder = folder
        self._read: dict[str, Any] = {}
        self._imports_left = _MOST_IMPORTS

    def process(self, address: str) -> dict[str, Any]:
        """Return the process at an address; an empty one if there is none, or it cannot be read.

        address: the path of a file, as CWL has it: with `%20` for a space, and `#ID` for one of several processes.
        """
        name, _, process = address.partition("#")
        document = self._document(posixpath.normpath(unquote(name)))
        if not isinstance(document, dict):
            return {}
        if "$graph" not in document:
            return document
        return dict(graph_processes(document["$graph"])).get(unquote(process) or "main", {})

    def with_imports(self, value: Any, *importing: str) -> Any:
        """Return a part of a document with what other files have in the place of each `$import` of them.

        What cannot be read stays as it is, and so do the files that steps run, since each is a document to check. Their
        paths are as they are seen from the document's folder then.
        importing: the files that led here, one by the other; none for the document itself.
        """
        if isinstance(value, list):
            return [self.with_imports(item, *importing) for item in value]
        if not isinstance(value, dict):
            return value
        # A `run` may also be the name of an input.
        named = (*TAKING_IN, "run") if {"in", "out"} <= value.keys() else TAKING_IN
        seen = {key: _seen_from(importing, item) if key in named else item for key, item in value.items()}
        address = seen.get(_IMPORT)
        if isinstance(address, str) and self._imports_left and len(importing) < _DEEPEST_IMPORT:
            self._imports_left -= 1
            name, _, part = address.partition("#")
            name = posixpath.normpath(unquote(name))
            imported = self._document(name)
            imported = _find_part(imported, unquote(part)) if part else imported
            return self.with_imports(imported, *importing, name) if imported else seen
        return {key: item if _is_file(key, item) else self.with_imports(item, *importing) for key, item in seen.items()}

    def is_missing(self, address: Any) -> bool:
        """Return whether an address, as for `process`, is that of a file beside the document that is not there."""
        name = unquote(str(address).partition("#")[0])
        return bool(name) and ":" not in name and self._folder is not None and is_absent(self._folder / name)

    def _document(self, name: str) -> Any:
        if name not in self._read and len(self._read) < _MOST_FILES:
            value = None
            # Whoever lints that file is told why; here it is only asked what it is.
            with suppress(UsageError):
                value = parse_cwl(read_cwl(self._folder / name), name=name).value if self._folder else None
            self._read[name] = value
        return self._read.get(name)

    def find_too_deep(self, name: str) -> str | None:
        """Return a file, this one or one that it runs in turn, that AWE does not find; None if it finds all."""
        todo = [name]
        seen: set[str] = set()
        while todo and len(seen) < _MOST_FILES:
            name, _, process = todo.pop().partition("#")
            name = posixpath.normpath(name)
            address = f"{name}#{process}"
            if ":" in name or name.startswith("/") or address in seen:
                continue
            seen.add(address)
            folder = posixpath.dirname(name)
            if sum(part not in ("", "..") for part in folder.split("/")) >= _TOO_DEEP:
                return name
            inner = [step.get("run") for _, step, _ in entries(self.process(address), "steps")]
            # What begins with `#` stands in the same file.
            todo += [
                name + run if run.startswith("#") else posixpath.join(folder, run)
                for run in inner
                if isinstance(run, str)
            ]
        return None
