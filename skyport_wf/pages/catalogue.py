"""The images of a Shock as one visitor may see them: as a list, one, two side by side, and the packages in all.

The served pages and those in files show these values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.pages.comparison import Comparison, compare
from skyport_wf.pages.details import ImageDetails, Place, describe_details
from skyport_wf.pages.entries import ImageEntry, find_named, make_entry
from skyport_wf.pages.package_search import PackageIndex, index_packages
from skyport_wf.pages.remembered import Remembered
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.inventory import StoredImage, list_images
from skyport_wf.publication.thin import name_of
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.shock.node import is_public

if TYPE_CHECKING:
    from skyport_wf.pages.findings import Findings, FindingsStore
    from skyport_wf.shock.client import ShockClient


class Memory:
    """Facts of a visitor's images that are remembered between requests. Threads share it."""

    def __init__(self) -> None:
        self.entries = Remembered[tuple[ImageEntry, ...]]()
        self.packages = Remembered[PackageIndex]()


class Catalogue:
    """The images of a Shock that a visitor may read."""

    def __init__(
        self, shock: ShockClient, anybody: ShockClient, findings: FindingsStore, place: Place, memory: Memory
    ) -> None:
        """See the Shock as a visitor does.

        shock: asked as the visitor.
        anybody: the same server, asked as somebody without a token.
        """
        self._shock = shock
        self._anybody = anybody
        self._findings = findings
        self._place = place
        self._memory = memory

    def entries(self) -> tuple[ImageEntry, ...]:
        """Return all published images, the newest first."""
        return self._memory.entries.get(lambda: tuple(entry for entry, _ in self._read()))

    def packages(self) -> PackageIndex:
        """Return the packages in all images whose packages are known."""
        return self._memory.packages.get(
            lambda: index_packages((entry, self._findings.find(image.node)) for entry, image in self._read())
        )

    def details(self, node_id: str) -> ImageDetails | None:
        """Return all that is known of the image on a node; None if there is none that the visitor may read."""
        image = self._find(node_id)
        return self._describe(image) if image else None

    def compare(self, old: str, new: str) -> Comparison | None:
        """Return how the images on two nodes differ; None if one of them is not there for the visitor."""
        before, after = self._find(old), self._find(new)
        if before is None or after is None:
            return None
        known = self._findings.find(before.node), self._findings.find(after.node)
        return compare(self._describe(before), self._describe(after), known)

    def look_inside(self, node_id: str, progress: Progress = UNSEEN) -> Findings | None:
        """Have the image on a node read, unless it was; None if it is not there for the visitor.

        progress: follows the bytes that are read.
        Raises ArchiveError if the node's file is no image, ShockError or TemporaryError if it cannot be read.
        """
        image = self._find(node_id)
        return self._findings.make(self._shock, image.node, progress) if image else None

    def was_read(self, node_id: str) -> bool:
        """Return whether the image on a node was read on this machine, or is not there."""
        image = self._find(node_id)
        return image is None or self._findings.find_read(image.node) is not None

    def _read(self) -> list[tuple[ImageEntry, StoredImage]]:
        """Return all images, the newest first."""
        images = list_images(self._shock)
        is_anybody = self._shock is self._anybody
        public = {image.node.id for image in images} if is_anybody else self._public_nodes()
        return [(make_entry(image, is_private=image.node.id not in public), image) for image in images]

    def _public_nodes(self) -> set[str]:
        try:
            return {node.id for node in self._anybody.query({"type": IMAGE_TYPE})}
        except ShockRefusalError as error:
            if not error.is_about_rights:
                raise
            # It answers nobody without a token.
            return set()

    def _find(self, node_id: str) -> StoredImage | None:
        """Return the image, with the state that the list has for it: only there it is seen that two have one name."""
        try:
            node = self._shock.find(node_id)
        except ShockRefusalError as error:
            if error.is_about_rights:
                return None
            raise
        if node is None or node.text("type") != IMAGE_TYPE:
            return None
        name = name_of(node)
        same = list_images(self._shock, [name]) if name else []
        # Whose name has signs of patterns in it, no worker can use.
        return next((image for image in same if image.node.id == node_id), StoredImage(node, name, "broken"))

    def _node_of(self, name: str) -> str:
        found = find_named(self.entries(), name)
        return found.node if found else ""

    def _describe(self, image: StoredImage) -> ImageDetails:
        access = self._shock.find_access(image.node.id)
        entry = make_entry(image, is_private=not is_public(access))
        return describe_details(
            image, entry, access, self._findings.find(image.node), self._place, node_of=self._node_of
        )


class FixedCatalogue(Catalogue):
    """All images as they were at one moment: pages that are made one by one have to fit each other."""

    def __init__(self, shock: ShockClient, anybody: ShockClient, findings: FindingsStore, place: Place) -> None:
        """Read all images now."""
        super().__init__(shock, anybody, findings, place, Memory())
        self._images = super()._read()
        self._by_node = {image.node.id: image for _, image in self._images}
        # Of several, the newest: they come first.
        self._by_name = {entry.name: entry.node for entry, _ in reversed(self._images)}

    def entries(self) -> tuple[ImageEntry, ...]:
        """Return all published images, the newest first."""
        return tuple(entry for entry, _ in self._images)

    def _read(self) -> list[tuple[ImageEntry, StoredImage]]:
        return self._images

    def _find(self, node_id: str) -> StoredImage | None:
        return self._by_node.get(node_id)

    def _node_of(self, name: str) -> str:
        return self._by_name.get(name, "")
