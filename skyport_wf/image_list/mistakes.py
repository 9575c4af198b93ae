"""Mistakes in a text, told all at once, each with its line as it stands there."""

from collections.abc import Sequence

import msgspec

from skyport_wf.errors import UsageError

_MOST = 20
"""Mistakes that are told at once."""
_WIDEST = 100
"""Characters of a line that are shown."""


class Place(msgspec.Struct, frozen=True):
    """Where something stands in a text."""

    line: int
    """Counted from 1."""
    column: int
    """Counted from 0."""
    width: int
    """Characters of it in that line."""


BEGIN = Place(1, 0, 1)
"""Where a text begins."""


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong in a text."""

    place: Place
    words: str
    """Subject, what is wrong with it, and what would be right."""


class WrittenText(msgspec.Struct, frozen=True):
    """A text whose parts have paths, such as `$.images[0].name`."""

    name: str
    """Its name in messages, usually the file's."""
    source: tuple[str, ...]
    """Its lines."""
    places: dict[str, Place]
    """Where things stand, by path; of a mapping's value, where its key stands."""

    def line_of(self, path: str) -> int:
        """Return the line of `path`, or of the nearest thing around it that has one."""
        return self.place_of(path).line

    def place_of(self, path: str) -> Place:
        """Return where `path` stands, or the nearest thing around it that stands somewhere."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, BEGIN)


class MistakesError(UsageError):
    """Raised for everything that is wrong in a text, as far as it can be known at once."""

    def __init__(self, mistakes: Sequence[Mistake], name: str, source: Sequence[str]) -> None:
        """Put the mistakes into words.

        name: what the text is called, usually the file's name. source: its lines.
        """
        # What an alias or `<<` repeats stands in one place.
        ordered = sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.place.line)
        told = [f"{name}, line {one.place.line}{one.words}\n{_show(one.place, source)}" for one in ordered[:_MOST]]
        if len(ordered) > 1:
            told = [f"{name} has {len(ordered)} mistakes:", *told]
        if len(ordered) > _MOST:
            told.append(f"... and {len(ordered) - _MOST} more")
        super().__init__("\n".join(told))


def _show(place: Place, source: Sequence[str]) -> str:
    """Return the line up to what is meant, with carets below that.

    What stands behind is left out: it may be a token or a password, and messages end up in logs.
    """
    from wcwidth import wcswidth

    text = source[place.line - 1] if place.line <= len(source) else ""
    end = min(place.column + max(1, place.width), _WIDEST)
    # A caret below a tab stands in the right column only if the tab is one column wide.
    colon = text[end : end + 1] == ":"
    shown = "".join(sign if sign.isprintable() else " " for sign in text[: end + colon])
    more = " ..." if text[end + colon :].strip() else ""
    margin = f"{place.line:>6} | "
    # A character is as wide as two others, or as none, in some scripts.
    before, meant = wcswidth(shown[: place.column]), wcswidth(shown[place.column : end])
    carets = "^" * max(1, meant) if place.column < _WIDEST else ""
    return f"{margin}{shown}{more}\n{' ' * (len(margin) - 2)}| {' ' * before}{carets}".rstrip()
