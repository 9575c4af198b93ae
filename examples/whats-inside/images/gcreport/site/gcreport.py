"""GC content of sequences."""


def gc_content(sequence: str) -> float:
    """Return the share of G and C, from 0 to 1."""
    return sum(sequence.count(base) for base in "GC") / len(sequence)
