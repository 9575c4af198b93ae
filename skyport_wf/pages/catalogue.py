"""What one visitor may see of a Shock: its images as a list, one image, two of them, and the packages in all.

The served pages and those in files show these values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skyport_wf.pages.comparison import Comparison, compare
from skyport_wf.pages.details import ImageDetails, Place, describe_details
from skyport_wf.pages.entries import ImageEntry, list_entries, make_entry
from skyport_wf.pages.package_search import PackageIndex, index_packages
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.inventory import StoredImage, list_images
from skyport_wf.publication.thin import name_of
from skyport_wf.shock.connection import ShockRefusalError

if TYPE_CHECKING:
    from skyport_wf.pages.findings import Findings, FindingsStore
    from skyport_wf.pages.listing import Listing
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import AccessControl

_NOT_YOURS: Final = frozenset({400, 401, 403, 404})
"""Statuses of a Shock that does not let someone read: installations differ."""


class Catalogue:
    """The images of a Shock that a visitor may read."""

    def __init__(
        self, shock: ShockClient, anybody: ShockClient, findings: FindingsStore, place: Place, listing: Listing
    ) -> None:
        """See the Shock as a visitor does.

        shock: asked as the visitor.
        anybody: the same server, asked as somebody without a token.
        listing: what is remembered of the visitor's list.
        """
        self._shock = shock
        self._anybody = anybody
        self._findings = findings
        self._place = place
        self._listing = listing
        self._frozen: dict[str, StoredImage] | None = None
        self._frozen_entries: tuple[ImageEntry, ...] = ()

    def freeze(self) -> None:
        """Read all images now, and show these from then on: pages that are made one by one have to fit each other."""
        images, public = self._read_images()
        self._frozen = {image.node.id: image for image in images}
        self._frozen_entries = list_entries(images, public=public)

    def entries(self) -> tuple[ImageEntry, ...]:
        """Return all published images, the newest first."""
        return self._listing.read(self._read_entries) if self._frozen is None else self._frozen_entries

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

    def packages(self) -> PackageIndex:
        """Return the packages in all images that were looked into."""
        return index_packages((entry, self._findings.find_by_id(entry.node)) for entry in self.entries())

    def is_known(self, node_id: str) -> bool:
        """Return whether the image on a node was looked into."""
        return self._findings.find_by_id(node_id) is not None

    def look_inside(self, node_id: str) -> Findings | None:
        """Have the image on a node read, unless it was; None if it is not there for the visitor.

        Raises ArchiveError if the node's file is no image, ShockError or TemporaryError if it cannot be read.
        """
        image = self._find(node_id)
        return self._findings.make(self._shock, image.node) if image else None

    def _read_entries(self) -> tuple[ImageEntry, ...]:
        images, public = self._read_images()
        return list_entries(images, public=public)

    def _read_images(self) -> tuple[list[StoredImage], set[str]]:
        """Return all images, and the nodes of those that everyone may read."""
        images = list_images(self._shock)
        is_anybody = self._shock is self._anybody
        nodes = [image.node for image in images] if is_anybody else self._anybody.query({"type": IMAGE_TYPE})
        return images, {node.id for node in nodes}

    def _find(self, node_id: str) -> StoredImage | None:
        """Return the image, with the state that the list has for it: only there it is seen that two have one name."""
        if self._frozen is not None:
            return self._frozen.get(node_id)
        try:
            node = self._shock.find(node_id)
        except ShockRefusalError as error:
            if error.status in _NOT_YOURS:
                return None
            raise
        if node is None or (node.attributes or {}).get("type") != IMAGE_TYPE:
            return None
        name = name_of(node)
        same = list_images(self._shock, [name]) if name else []
        # Whose name has signs of patterns in it, no worker can use.
        return next((image for image in same if image.node.id == node_id), StoredImage(node, name, "broken"))

    def _describe(self, image: StoredImage) -> ImageDetails:
        access: AccessControl | None = self._shock.find_access(image.node.id)
        # Who is in none of a node's lists, and has found it, may read it because everyone may.
        entry = make_entry(image, is_private=not (access is None or access.public.read))
        return describe_details(
            image,
            entry,
            access,
            self._findings.find(image.node),
            self._place,
            siblings=self.entries(),
        )
