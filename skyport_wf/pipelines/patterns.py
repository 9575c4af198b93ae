"""Regular expressions by which rules of several lists tell their images apart."""

import os
import re
from collections.abc import Collection
from itertools import groupby


def match_any(words: Collection[str]) -> str:
    """Return a regular expression that matches these words alone; empty without any.

    What several words begin with is in it once: Snakemake has it in each path of a rule and searches it for each file.
    Spelled out, a thousand names take a third of a dry run.
    """
    common = os.path.commonprefix([*words])  # noqa: RUF071 - character by character, as meant here
    rests = sorted(word.removeprefix(common) for word in words)
    ends_here = "" in rests
    ways = [match_any([*rest]) for _, rest in groupby(filter(None, rests), key=lambda rest: rest[0])]
    if not ways:
        return re.escape(common)
    return f"{re.escape(common)}(?:{'|'.join(ways)}){'?' if ends_here else ''}"
