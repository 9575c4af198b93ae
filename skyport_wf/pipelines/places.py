"""The folders that the rules of an image list write into."""

from __future__ import annotations

import re
from typing import Any, Protocol

from skyport_wf.pipelines.checks import check_pathvars, check_prefix

PATHVARS = ("results", "logs", "benchmarks")
"""What says where the rules write."""


class PathModifier(Protocol):
    """What puts the prefix of a module before its paths: Snakemake's."""

    def replace_prefix(self, path: str) -> str:
        """Return the path as it counts."""


class Places:
    """Where the rules of one module or pipeline write."""

    def __init__(self, workflow: Any) -> None:
        """Take the pathvars and the prefix of the module that is being parsed; workflow: Snakemake's."""
        self._pathvars = workflow.pathvars
        self.folder = self.at("<results>/skyport")
        """What has a folder for each image, as far as no prefix moves it."""
        self.results = self.folder.removesuffix("/skyport")
        """Where that folder is."""
        prefixed = workflow.modifier.path_modifier.replace_prefix
        self.moved: str = prefixed(self.folder)
        """The folder where it really is."""
        self.by_pathvar: dict[str, str] = {name: prefixed(self.at(f"<{name}>/skyport")) for name in PATHVARS}
        """What has a folder for each image, as it really is."""
        self.written: list[str] = [*self.by_pathvar.values(), ".snakemake"]
        """What these rules write, and Snakemake for them."""

    def check(self) -> None:
        """Raise UsageError for a pathvar, or a prefix of the module, that makes no sense."""
        check_pathvars({name: self._pathvars.apply(f"<{name}>") for name in PATHVARS})
        check_prefix(self.by_pathvar.values())

    def at(self, path: str) -> str:
        """Return a path with the workflow's pathvars put in, of which each may end with a slash.

        Snakemake does that too, but not before it hands paths to a default storage provider.
        """
        return re.sub("//+", "/", self._pathvars.apply(path))

    def spellings(self, modifier: PathModifier | None) -> list[str]:
        """Return how a Snakefile can write the folder that has the receipts, in the place of `results`.

        modifier: what moves the paths of the Snakefile that is being parsed; None if that is not known.
        """
        folders = {self.results: self.folder, self.moved.removesuffix("/skyport"): self.moved}
        return [
            folder
            for folder, inside in folders.items()
            if modifier is None or modifier.replace_prefix(inside) == self.moved
        ]
