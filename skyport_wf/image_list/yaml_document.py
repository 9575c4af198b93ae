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
    other_keys: dict[str, list[str]]
    """Keys that are no text, as they were written, by the path of their mapping: `NO` where the key is False."""

    @property
    def written(self) -> WrittenText:
        """The text alone."""
        return WrittenText(self.name, self.source, self.places)


def decode_yaml(content: bytes, *, name: str) -> str:
    """Return the text of a YAML file. Raises UsageError, with the line, if it is not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{name}, line {line}: not UTF-8. Save it as UTF-8 text.") from error


def parse_yaml(text: str, *, name: str, kind: str = "an image list", if_empty: str = "") -> YamlDocument:
    """Return the document in `text`.

    name: what messages call it, usually the file's name.
    kind: what it is to be, in messages.
    if_empty: what to do about it if there is nothing in it, a sentence.
    Raises UsageError, with the line, if it is not YAML, holds several documents or has a key twice.
    """
    # A byte order mark is no column.
    text = text.removeprefix("\ufeff")
    source = tuple(text.splitlines())
    try:
        text = _with_whole_characters(text)
        _check_depth(text, name, kind)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            raise UsageError(f"{name} is empty. {if_empty}".rstrip())
        walk = _Walk(name, kind)
        walk.note(root, "$", ())
        if walk.mistakes:
            raise MistakesError([*walk.mistakes.values()], name, source)
        value = yaml.constructor.SafeConstructor().construct_document(root)
        return YamlDocument(name, source, walk.places, value, walk.texts, walk.other_keys)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name, source, kind) from error
    except yaml.reader.ReaderError as error:
        raise _wrong_character(error, text, name, source) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    except _NO_VALUE as error:
        # Of a mapping with the tag of a scalar, such as `!!int {=: x}`.
        raise UsageError(f"{name}: not valid YAML: a value is not what its `!!` tag says") from error


def field_of(path: str) -> str:
    """Return what messages call the part of a document that has this path."""
    return path.rpartition(".")[2].removeprefix("$") or "the file"


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


_NO_VALUE = (ValueError, LookupError, AttributeError)
"""What PyYAML's constructors raise for `2024-02-30` and `!!int x`, `!!bool maybe` and `!!int ''`, `!!timestamp now`."""
_TAG = "tag:yaml.org,2002:"
_TEXT, _MERGE, _EQUALS = f"{_TAG}str", f"{_TAG}merge", f"{_TAG}value"
"""Tags of text, `<<` and `=`."""
_LOOKS_LIKE = {f"{_TAG}timestamp": "a date that there is not", f"{_TAG}int": "a number that cannot be read"}
"""What a scalar without a tag of its own may be taken for, though it has no value as such, by the tag that it gets."""
_LONGEST_HINT = 40
"""Characters of a value that is shown with quotes."""
_BEGAN = ("a quoted scalar", "parsing a flow", "scanning a simple key")
"""Mistakes that are seen long after the thing that they are of has begun."""
_OF_TABS = "a tab. YAML is indented with spaces."
_OF_BACKSLASHES = "a `\\` in double quotes that begins no character's code. Use single quotes, or `/` in a path."
_OF_MERGING = "`<<` takes a mapping, such as the alias (`*NAME`) of one, or a list of them"
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
    "could not determine a constructor for the tag": "a tag (`!...`) that {kind} does not know. Leave it out.",
    "found incompatible YAML document": "another version of YAML than 1.1 or 1.2. Leave the `%YAML` out.",
    "found undefined alias": "an alias (`*NAME`) whose anchor (`&NAME`) is not there",
    "but found another document": "a second document (`---`): {kind} is one",
    "could not find expected ':'": "a key without `: ` behind it",
    "found a tab character": _OF_TABS,
    "found unknown escape character": _OF_BACKSLASHES,
    "did not find expected hexdecimal number": _OF_BACKSLASHES,
    "found invalid Unicode character escape code": _OF_BACKSLASHES,
    "expected a mapping for merging": _OF_MERGING,
    "expected a mapping or list of mappings for merging": _OF_MERGING,
}
"""Words of libyaml and PyYAML, by how they begin, and what people call it."""


def _syntax_error(error: yaml.MarkedYAMLError, name: str, source: tuple[str, ...], kind: str) -> UsageError:
    problem = str(error.problem)
    began = error.context_mark if any(what in str(error.context) for what in _BEGAN) else None
    mark = began or error.problem_mark
    place = Place(mark.line + 1, mark.column, 1) if mark else BEGIN
    words = next((words for begin, words in _WORDS.items() if problem.startswith(begin)), problem)
    words = words.replace("{kind}", kind)
    if problem.startswith("found character that cannot start"):
        sign = source[place.line - 1][place.column : place.column + 1] if place.line <= len(source) else ""
        words = _OF_TABS if sign == "\t" else f"a value begins with `{sign}`. Quote it."
    return MistakesError([Mistake(place, f": not valid YAML: {words}")], name, source)


def _wrong_character(error: yaml.reader.ReaderError, text: str, name: str, source: tuple[str, ...]) -> UsageError:
    """Return the error of a character that no YAML has, where it stands first: libyaml counts bytes up to it."""
    *before, last = (text.partition(chr(error.character))[0] + ".").splitlines()
    place = Place(len(before) + 1, len(last) - 1, 1)
    instead = "Remove it, or write its code in double quotes." if error.character else "Save it as UTF-8 text."
    words = f": not valid YAML: the character U+{error.character:04X}, which no YAML has. {instead}"
    return MistakesError([Mistake(place, words)], name, source)


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
        self.other_keys: dict[str, list[str]] = {}
        self.mistakes: dict[int, Mistake] = {}
        """Of scalars that have no value, by the ids of their nodes, to which aliases lead again."""
        self.values = 0
        self._constructor = yaml.constructor.SafeConstructor()

    def note(self, node: yaml.Node, path: str, above: tuple[int, ...]) -> None:
        self._place(path, node)
        above = self._enter(node, path, above)
        if isinstance(node, yaml.ScalarNode):
            self.texts[path] = node.value
            self._check_value(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.note(item, f"{path}[{index}]", above)
        elif isinstance(node, yaml.MappingNode):
            self._note_mapping(node, path, above, set())

    def _enter(self, node: yaml.Node, path: str, above: tuple[int, ...]) -> tuple[int, ...]:
        """Return the nodes down to this one. Raises UsageError for more of them than an image list needs."""
        self.values += 1
        if len(above) > _DEEPEST or self.values > _MOST_VALUES or id(node) in above:
            raise _too_deep(self.name, self.kind, self.places[path].line)
        return (*above, id(node))

    def _note_mapping(self, node: yaml.MappingNode, path: str, above: tuple[int, ...], known: set[str]) -> None:
        """Note the pairs of a mapping, and below the same path those that `<<` merges into it.

        known: keys that stand there already, and win.
        """
        first: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"{self.name}, line {line}: a key has to be plain text")
            if key.value in first:
                raise UsageError(
                    f"{self.name}, line {line}: {key.value!r} stands here again (first on line {first[key.value]})"
                )
            first[key.value] = line
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.value in known:
                self.note(value, f"{path}.<<.{key.value}", above)
            else:
                self._note_key(key, path)
                self.note(value, f"{path}.{key.value}", above)
        known.update(first)
        for other in merged:
            inside = self._enter(other, path, above)
            if isinstance(other, yaml.MappingNode):
                self._note_mapping(other, path, inside, known)

    def _note_key(self, key: yaml.ScalarNode, path: str) -> None:
        self._place(f"{path}.{key.value}", key)
        # As a key, `=` is text.
        if key.tag not in (_TEXT, _EQUALS):
            self.other_keys.setdefault(path, []).append(key.value)
            self._check_value(key, f"{path}.{key.value}")

    def _check_value(self, node: yaml.ScalarNode, path: str) -> None:
        """Note a scalar that has no value: PyYAML does not say which."""
        if id(node) not in self.mistakes and (why := self._why_no_value(node)):
            self.mistakes[id(node)] = Mistake(self.places[path], f", field {field_of(path)}: {why}")

    def _why_no_value(self, node: yaml.ScalarNode) -> str:
        """Return why a scalar has no value, and what to write; empty if it has one."""
        if node.tag == _TEXT:
            return ""
        hint = f'Quote it: "{node.value}"' if len(node.value) <= _LONGEST_HINT else "Quote it."
        if node.tag in (_MERGE, _EQUALS):
            return f"`{node.value}` is no value. {hint}"
        try:
            self._constructor.construct_object(node)
        except _NO_VALUE:
            resolver: Any = yaml.resolver.Resolver()
            tagged = node.style or resolver.resolve(yaml.ScalarNode, node.value, (True, False)) != node.tag
            looks = "" if tagged else _LOOKS_LIKE.get(node.tag)
            return f"looks like {looks}. {hint}" if looks else "not what its `!!` tag says"
        return ""

    def _place(self, path: str, node: yaml.Node) -> None:
        """Note where something stands, if its key has not said so already."""
        if isinstance(node, yaml.MappingNode) and node.value:
            # Its first key stands for it.
            node = node.value[0][0]
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        self.places.setdefault(path, Place(start.line + 1, start.column, width))
