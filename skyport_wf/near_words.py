"""The words that may be meant by one that is not known."""

from collections.abc import Iterable

_LONGEST = 200
"""Characters of a word that are compared: comparing takes the product of their lengths."""


def near_words(word: str, known: Iterable[str], *, most: int = 1, least: float = 0.6) -> list[str]:
    """Return the known words that are like the word, the nearest first; case counts where they differ in nothing else.

    most: so many of them.
    least: how like they have to be, from 0 to 1.
    """
    import difflib

    spelt: dict[str, list[str]] = {}
    for one in known:
        spelt.setdefault(one.casefold(), []).append(one)
    word = word[:_LONGEST]
    found = difflib.get_close_matches(word.casefold(), spelt, n=most, cutoff=least)
    return [one for folded in found for one in difflib.get_close_matches(word, spelt[folded], n=most, cutoff=0)][:most]
