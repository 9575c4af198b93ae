"""The words that may be meant by one that is not known."""

from collections.abc import Collection, Iterable
from itertools import takewhile

_LONGEST = 200
"""Characters of a word that are compared: comparing takes the product of their lengths."""


_SHORT = 6
"""Letters of a word that may have most of them in common with another by chance."""
_LEAST = 0.6
_LEAST_OF_SHORT = 0.7
"""How like a short word and one of another length have to be that does not begin with it: `date` is nearly in
`state`."""


def near_words(word: str, known: Iterable[str], *, most: int = 1, least: float | None = None) -> list[str]:
    """Return the known words that are like the word, the nearest first; case counts where they differ in nothing else.

    most: so many of them.
    least: how like they have to be, from 0 to 1; None for what people mistype.
    """
    spelt: dict[str, list[str]] = {}
    for one in known:
        spelt.setdefault(one.casefold(), []).append(one)
    word = word[:_LONGEST]
    folded = word.casefold()
    if least is None and len(word) <= _SHORT:
        likely = [one for one in spelt if len(one) == len(folded) or one.startswith(folded)]
        found = _closest(folded, spelt, _LEAST_OF_SHORT) or _closest(folded, likely, _LEAST)
    else:
        found = _closest(folded, spelt, _LEAST if least is None else least)
    return [one for near in found[:most] for one in _closest(word, spelt[near], 0)][:most]


def _closest(word: str, known: Collection[str], least: float) -> list[str]:
    """Return the known words that are like the word; of those that are equally like it, first what begins like it."""
    import difflib

    def likeness(one: str) -> tuple[float, int]:
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, word, strict=False))
        return difflib.SequenceMatcher(None, one, word).ratio(), len(list(alike))

    found = difflib.get_close_matches(word, known, n=len(known), cutoff=least) if known else []
    return sorted(found, key=likeness, reverse=True)
