"""A YAML document as plain values, with the line that each of them stands on.

Lines are what make a message about a wrong `images.yaml` useful, so they are kept beside the values
under the same paths that msgspec reports: `$.images[0].name`.
"""

from contextlib import suppress
from typing import Any

import msgspec
import yaml

from skyport_wf.errors import UsageError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 40
"""No image list needs more levels; a limit keeps a hostile document from exhausting the stack."""
_MOST_VALUES = 100_000
"""Aliases of aliases can make a short text stand for billions of values."""


class YamlDocument(msgspec.Struct, frozen=True):
    """What a YAML file holds."""

    value: Any
    """Plain dicts, lists, strings, numbers, booleans and None."""
    lines: dict[str, int]
    """Line, counted from 1, by path; of a mapping's value, the line of its key."""
    texts: dict[str, str]
    """Every scalar as it was written, by path: `1.10` where the value is the number 1.1."""

    def line_of(self, path: str) -> int:
        """Return the line of `path`, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def parse_yaml(text: str, *, name: str) -> YamlDocument:
    """Return the document in `text`.

    name: what messages call it, usually the file's name.
    Raises UsageError, with the line, if it is not YAML, holds several documents or has a key twice.
    """
    try:
        _check_depth(text, name)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            raise UsageError(f"{name} is empty. `skyport-wf init` writes one to start from.")
        walk = _Walk(name)
        walk.note(root, "$", ())
        return YamlDocument(yaml.constructor.SafeConstructor().construct_document(root), walk.lines, walk.texts)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{name}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    except (LookupError, AttributeError) as error:
        # What PyYAML's constructors raise for `!!bool maybe`, `!!int ''` or `!!timestamp today`.
        raise UsageError(f"{name}: not valid YAML: a value is not what its `!!` tag says") from error


def _check_depth(text: str, name: str) -> None:
    """Raise UsageError for what is nested too deeply: libyaml composes by recursion, and would crash the process."""
    try:
        _count_depth(text, name, _LOADER)
    except yaml.MarkedYAMLError:
        # Some versions of libyaml have a limit of their own, which they reach before we see the events of our fortieth
        # level. PyYAML's parser has none, and is too slow to be asked first.
        with suppress(yaml.YAMLError):
            _count_depth(text, name, yaml.SafeLoader)
        raise


def _count_depth(text: str, name: str, loader: Any) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _too_deep(name, event.start_mark.line + 1 if event.start_mark else 1)


def _too_deep(name: str, line: int) -> UsageError:
    return UsageError(f"{name}, line {line}: nested too deeply to be an image list")


class _Walk:
    """Goes through a document once and notes what stands where."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.values = 0

    def note(self, node: yaml.Node, path: str, above: tuple[int, ...]) -> None:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.values += 1
        if len(above) > _DEEPEST or self.values > _MOST_VALUES or id(node) in above:
            raise _too_deep(self.name, self.lines[path])
        above = (*above, id(node))
        if isinstance(node, yaml.ScalarNode):
            self.texts[path] = node.value
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.note(item, f"{path}[{index}]", above)
        elif isinstance(node, yaml.MappingNode):
            self._note_mapping(node, path, above)

    def _note_mapping(self, node: yaml.MappingNode, path: str, above: tuple[int, ...]) -> None:
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"{self.name}, line {line}: a key has to be plain text")
            if key.value in first:
                raise UsageError(
                    f"{self.name}, line {line}: {key.value!r} stands here again (first on line {first[key.value]})"
                )
            first[key.value] = line
            self.lines.setdefault(f"{path}.{key.value}", line)
            self.note(value, f"{path}.{key.value}", above)
