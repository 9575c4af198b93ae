"""The processes of a CWL document, and those of the files that it runs."""

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from skyport_wf.errors import UsageError
from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.input_file import read_bounded

_LARGEST = 4 << 20
_MOST_FILES = 200
_TOO_DEEP = 2
"""Folders inside each other, through which AWE's submitter loses its way."""


def read_cwl(path: Path) -> str:
    """Return the text of a document. Raises UsageError if it cannot be read."""
    try:
        return read_bounded(path, _LARGEST).decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read {path}: {reason}") from error


def entries(
    owner: dict[str, Any], field: str, path: str = "", *, key: str = "id"
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, value and path of what stands in a field that CWL lets be a list or a mapping.

    key: what has the name in the list form. A value in a short form, such as a type alone, is yielded as `{}`.
    """
    value = owner.get(field)
    if isinstance(value, dict):
        for name, item in value.items():
            yield str(name), item if isinstance(item, dict) else {}, f"{path}.{field}.{name}"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            item = entry if isinstance(entry, dict) else {}
            yield str(item.get(key, "")), item, f"{path}.{field}[{index}]"


class RunFiles:
    """Files that a document runs, by their paths as they are seen from its folder."""

    def __init__(self, folder: Path | None) -> None:
        """Read nothing yet.

        folder: where the document stands; None if that is not known, and so no file of it.
        """
        self._folder = folder
        self._read: dict[str, dict[str, Any]] = {}

    def process(self, name: str) -> dict[str, Any]:
        """Return the process in a file; an empty one if there is none, or it cannot be read."""
        if name not in self._read and len(self._read) < _MOST_FILES:
            value = None
            # Whoever lints that file is told why; here it is only asked what it is.
            with suppress(UsageError):
                value = parse_yaml(read_cwl(self._folder / name), name=name).value if self._folder else None
            self._read[name] = value if isinstance(value, dict) else {}
        return self._read.get(name, {})

    def find_too_deep(self, name: str) -> str | None:
        """Return a file, this one or one that it runs in turn, that AWE does not find; None if it finds all."""
        todo = [posixpath.normpath(name)]
        seen: set[str] = set()
        while todo and len(seen) < _MOST_FILES:
            name = todo.pop()
            if ":" in name or name.startswith("/") or name in seen:
                continue
            seen.add(name)
            folder = posixpath.dirname(name)
            if sum(part not in ("", "..") for part in folder.split("/")) >= _TOO_DEEP:
                return name
            inner = (step.get("run") for _, step, _ in entries(self.process(name), "steps"))
            todo += [posixpath.normpath(posixpath.join(folder, one)) for one in inner if isinstance(one, str)]
        return None
