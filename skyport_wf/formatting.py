"""How numbers, sizes and commands are written for people."""

import re
from typing import Final

_UNITS: Final = ("kB", "MB", "GB", "TB")
_MOST_SHOWN: Final = 1000
"""Characters; more than a name, path or sentence of ours has."""
_SHELL = re.compile(r"^(?:/bin/sh -c\s+)?(?:#\(nop\)\s+)?")
_BUILDKIT = re.compile(r"\s*# buildkit$")


def count(number: int, what: str) -> str:
    """Return a number of things in words, such as `1 image` or `3 images`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def human_size(size: int) -> str:
    """Return a number of bytes in the unit that people would use, such as `61.3 MB`; a kB is 1000 bytes."""
    if size < 1000:
        return f"{size} B"
    value, units = size / 1000, iter(_UNITS)
    unit = next(units)
    while value >= 999.95 and unit != _UNITS[-1]:
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}"


def percentage(share: float) -> str:
    """Return a part of a whole in words, such as `12.5%`: the same in tables and pictures."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def summarise_bytes(size: int, layers: int, wasted: int | None) -> str:
    """Return an image's bytes in words.

    wasted: bytes that it does not show; None if unknown.
    """
    in_layers = f"{human_size(size)} in {count(layers, 'layer')}"
    if wasted is None:
        return f"{in_layers}, waste unknown"
    return f"{in_layers}, {human_size(wasted)} wasted ({percentage(wasted / size if size else 0)})"


def short_command(created_by: str) -> str:
    """Return the command of an image's history as its Dockerfile has it, in one line that no terminal acts upon."""
    command = _BUILDKIT.sub("", _SHELL.sub("", " ".join(created_by.split())))
    if created_by.startswith("/bin/sh -c") and "#(nop)" not in created_by:
        command = f"RUN {command}"
    command = command.replace("RUN /bin/sh -c ", "RUN ", 1)
    return printable(command)


def printable(words: str) -> str:
    """Return the words without what a terminal would act upon, or XML not allow: names in an image are anyone's."""
    # Nearly all words, and tables have many.
    return words if words.isprintable() else "".join(filter(str.isprintable, words))


def shortened(words: str, longest: int = _MOST_SHOWN) -> str:
    """Return the words, or the beginning of those that nobody reads to the end: names in an image may have any length.

    In a table, each row would be as long.
    longest: characters, the three dots among them.
    """
    return words if len(words) <= longest else f"{words[: longest - 3]}..."


def one_line(words: str, longest: int = _MOST_SHOWN) -> str:
    """Return words that are anyone's in one line that no terminal acts upon. longest: as for `shortened`."""
    return shortened(printable(words.expandtabs(4)), longest)


def terminal_text(text: str) -> str:
    r"""Return a text of several lines with everything else that a terminal would act upon made visible, as `\x1b`.

    Names on a server, its messages, and what a build prints are anyone's words.
    """
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def unicode_text(text: str) -> str:
    r"""Return a text that UTF-8 can hold: of a file's name, bytes of other encodings become visible, as `\udcff`."""
    return text.encode(errors="backslashreplace").decode()


def _escaped(line: str) -> str:
    return "".join(
        sign if sign.isprintable() or sign == "\t" else sign.encode("unicode_escape").decode() for sign in line
    )
