"""A YAML document as plain values, with the line that each of them stands on.

Lines are what make a message about a wrong `images.yaml` useful, so they are kept beside the values
under the same paths that msgspec reports: `$.images[0].name`.
"""

import json
import re
from contextlib import suppress
from typing import Any

import yaml

from skyport_wf.errors import UsageError
from skyport_wf.image_list.mistakes import BEGIN, Mistake, MistakesError, Place, WrittenText

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 40
"""No image list needs more levels; a limit keeps a hostile document from exhausting the stack."""
_MOST_VALUES = 100_000
"""Aliases of aliases can make a short text stand for billions of values."""
_PAIR_OR_ESCAPE = re.compile(r"(?P<pair>\\ud[89ab][\da-f]{2}\\ud[c-f][\da-f]{2})|\\.", re.IGNORECASE)
"""Two halves of one character, as JSON writes those beyond `\\uffff`; any other escape, which may have such digits."""


class YamlDocument(WrittenText, frozen=True):
    """The contents of a YAML file, beside its text."""

    value: Any
    """Plain dicts, lists, strings, numbers, booleans and None."""
    texts: dict[str, str]
    """Every scalar as it was written, by path: `1.10` where the value is the number 1.1."""

    @property
    def written(self) -> WrittenText:
        """The text alone."""
        return WrittenText(self.name, self.source, self.places)


def parse_yaml(text: str, *, name: str, kind: str = "an image list", if_empty: str = "") -> YamlDocument:
    """Return the document in `text`.

    name: what messages call it, usually the file's name.
    kind: what it is to be, in messages.
    if_empty: what to do about it if there is nothing in it, a sentence.
    Raises UsageError, with the line, if it is not YAML, holds several documents or has a key twice.
    """
    source = tuple(text.splitlines())
    try:
        text = _with_whole_characters(text)
        _check_depth(text, name, kind)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            raise UsageError(f"{name} is empty. {if_empty}".rstrip())
        walk = _Walk(name, kind)
        walk.note(root, "$", ())
        value = yaml.constructor.SafeConstructor().construct_document(root)
        return YamlDocument(name, source, walk.places, value, walk.texts)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name, source, kind) from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    except (LookupError, AttributeError) as error:
        # What PyYAML's constructors raise for `!!bool maybe`, `!!int ''` or `!!timestamp today`.
        raise UsageError(f"{name}: not valid YAML: a value is not what its `!!` tag says") from error


def _with_whole_characters(text: str) -> str:
    """Return JSON with pairs of surrogates as YAML writes such a character; YAML as it is, which has no pairs."""
    if not any(match["pair"] for match in _PAIR_OR_ESCAPE.finditer(text)):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _PAIR_OR_ESCAPE.sub(_yaml_escape, text)


def _yaml_escape(match: re.Match[str]) -> str:
    if not match["pair"]:
        return match[0]
    character = json.loads('"' + match["pair"] + '"')
    return f"\\U{ord(character):08x}"


_BEGAN = ("scanning a quoted scalar", "parsing a flow", "scanning a simple key")
"""Mistakes that are seen long after the thing that they are of has begun."""
_WORDS = {
    "mapping values are not allowed": (
        "a `:` that makes no sense here: quote a value that has `: ` in it, and indent a line as those it belongs with"
    ),
    "found unexpected end of stream": "a quote that is not closed",
    "did not find expected key": "a line that is indented otherwise than those before it, or a quote that closes too "
    "early",
    "did not find expected '-'": "a line that belongs to the list item above it, and is indented less. Indent it more.",
    "did not find expected ','": "a bracket that is not closed",
    "did not find expected node": "a bracket that is not closed",
    "found undefined alias": "an alias (`*NAME`) whose anchor (`&NAME`) is not there",
    "but found another document": "a second document (`---`): {kind} is one",
    "could not find expected ':'": "a key without `: ` behind it",
}
"""libyaml's words, by how they begin, and what people call it."""


def _syntax_error(error: yaml.MarkedYAMLError, name: str, source: tuple[str, ...], kind: str) -> UsageError:
    problem = str(error.problem)
    began = error.context_mark if any(what in str(error.context) for what in _BEGAN) else None
    mark = began or error.problem_mark
    place = Place(mark.line + 1, mark.column, 1) if mark else BEGIN
    words = next((words for begin, words in _WORDS.items() if problem.startswith(begin)), problem)
    words = words.replace("{kind}", kind)
    if problem.startswith("found character that cannot start"):
        sign = source[place.line - 1][place.column : place.column + 1] if place.line <= len(source) else ""
        words = "a tab. YAML is indented with spaces." if sign == "\t" else f"a value begins with `{sign}`. Quote it."
    return MistakesError([Mistake(place, f": not valid YAML: {words}")], name, source)


def _check_depth(text: str, name: str, kind: str) -> None:
    """Raise UsageError for what is nested too deeply: libyaml composes by recursion, and would crash the process."""
    try:
        _count_depth(text, name, kind, _LOADER)
    except yaml.MarkedYAMLError:
        # Some versions of libyaml have a limit of their own, which they reach before we see the events of our fortieth
        # level. PyYAML's parser has none, and is too slow to be asked first.
        with suppress(yaml.YAMLError):
            _count_depth(text, name, kind, yaml.SafeLoader)
        raise


def _count_depth(text: str, name: str, kind: str, loader: Any) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _too_deep(name, kind, event.start_mark.line + 1 if event.start_mark else 1)


def _too_deep(name: str, kind: str, line: int) -> UsageError:
    return UsageError(f"{name}, line {line}: nested too deeply to be {kind}")


class _Walk:
    """Goes through a document once and notes what stands where."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.places: dict[str, Place] = {}
        self.texts: dict[str, str] = {}
        self.values = 0

    def note(self, node: yaml.Node, path: str, above: tuple[int, ...]) -> None:
        self._place(path, node)
        self.values += 1
        if len(above) > _DEEPEST or self.values > _MOST_VALUES or id(node) in above:
            raise _too_deep(self.name, self.kind, self.places[path].line)
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
            self._place(f"{path}.{key.value}", key)
            self.note(value, f"{path}.{key.value}", above)

    def _place(self, path: str, node: yaml.Node) -> None:
        """Note where something stands, if its key has not said so already."""
        if isinstance(node, yaml.MappingNode) and node.value:
            # Its first key stands for it.
            node = node.value[0][0]
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        self.places.setdefault(path, Place(start.line + 1, start.column, width))
