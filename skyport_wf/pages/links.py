"""Addresses of the pages, seen from one of them: those that a server answers, and those of files in a folder."""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import quote, urlencode

PREFIX: Final = "catalogue"
"""The first part of the addresses of all served pages but the first one, which no other service here has."""
LIST_SCRIPT: Final = "images.js"


class Links(Protocol):
    """The addresses of pages, relative to one of them: so they hold behind any proxy, and in any folder."""

    is_served: bool
    """Whether a server answers them, which also filters, logs people in and looks into images."""

    @property
    def home(self) -> str:
        """The list of all images."""

    @property
    def packages(self) -> str:
        """The packages in all images."""

    @property
    def list_script(self) -> str:
        """The list as a script, for the filter."""

    def static(self, name: str) -> str:
        """Return the address of a file that belongs to every page."""

    def image(self, node: str) -> str:
        """Return the page of an image."""

    def compare(self, old: str, new: str) -> str:
        """Return the page that compares two images."""

    def list_page(self, number: int, **asked: str) -> str:
        """Return a page of the list; the first is 1. asked: the filter and the order."""

    def letter(self, letter: str) -> str:
        """Return the page of the packages whose names begin with a letter."""


class ServedLinks:
    """The addresses that a server answers."""

    is_served = True

    def __init__(self, depth: int) -> None:
        """See them from a page that is so many folders below the first one."""
        self._root = "../" * depth or "./"

    @property
    def home(self) -> str:
        """The list of all images."""
        return self._root

    @property
    def packages(self) -> str:
        """The packages in all images."""
        return self.action("packages")

    @property
    def list_script(self) -> str:
        """The list as a script, for the filter."""
        return self.action(LIST_SCRIPT)

    def action(self, name: str) -> str:
        """Return the address of something that only a server can do."""
        return f"{self._root}{PREFIX}/{name}"

    def static(self, name: str) -> str:
        """Return the address of a file that belongs to every page."""
        return self.action(f"static/{name}")

    def image(self, node: str) -> str:
        """Return the page of an image."""
        return self.action(f"image/{quote(node, safe='')}")

    def look_inside(self, node: str) -> str:
        """Return the address to which a form is sent that has an image read."""
        return f"{self.image(node)}/read"

    def compare(self, old: str, new: str) -> str:
        """Return the page that compares two images."""
        return self.action(f"compare/{quote(old, safe='')}/{quote(new, safe='')}")

    def list_page(self, number: int, **asked: str) -> str:
        """Return a page of the list; the first is 1. asked: the filter and the order."""
        given = {name: value for name, value in asked.items() if value} | ({"page": str(number)} if number > 1 else {})
        return f"{self._root}?{urlencode(given)}" if given else self._root

    def letter(self, letter: str) -> str:
        """Return the page of the packages whose names begin with a letter."""
        return f"{self.packages}?{urlencode({'letter': letter})}"


class FileLinks:
    """The addresses of files in a folder."""

    is_served = False

    def __init__(self, depth: int) -> None:
        """See them from a file that is so many folders below the first one."""
        self._root = "../" * depth

    @property
    def home(self) -> str:
        """The list of all images."""
        return f"{self._root}index.html"

    @property
    def packages(self) -> str:
        """The packages in all images."""
        return f"{self._root}packages/index.html"

    @property
    def list_script(self) -> str:
        """The list as a script, for the filter."""
        return f"{self._root}{LIST_SCRIPT}"

    def static(self, name: str) -> str:
        """Return the address of a file that belongs to every page."""
        return f"{self._root}static/{name}"

    def image(self, node: str) -> str:
        """Return the page of an image."""
        return f"{self._root}image/{node}.html"

    def compare(self, old: str, new: str) -> str:
        """Return the page that compares two images."""
        return f"{self._root}compare/{old}/{new}.html"

    def list_page(self, number: int, **asked: str) -> str:
        """Return a page of the list; the first is 1. asked: nothing, as files cannot be asked."""
        return f"{self._root}list/{number}.html" if number > 1 else self.home

    def letter(self, letter: str) -> str:
        """Return the page of the packages whose names begin with a letter."""
        return f"{self._root}packages/{letter}.html"
