"""A request for a page: whose it is, what they may see, and the ways in which it is not answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Request, Response

from skyport_wf.formatting import printable
from skyport_wf.pages.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skyport_wf.pages.catalogue import Catalogue
    from skyport_wf.pages.links import ServedLinks
    from skyport_wf.pages.sessions import Sessions
    from skyport_wf.registry.backend import Backend

_LONGEST_QUERY: Final = 200
_HTML: Final = "text/html; charset=utf-8"


class NotThereError(Exception):
    """There is no such page, or none for this visitor."""


class RefusedError(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Visit:
    """One request of a visitor, and what answers it."""

    def __init__(
        self,
        request: Request,
        sessions: Sessions,
        backend: Backend,
        *,
        links: ServedLinks,
        site: Mapping[str, Any],
        catalogue: Catalogue,
    ) -> None:
        """Hold these together.

        links: as seen from the address that is asked for.
        site: the values that every page shows.
        catalogue: what the visitor may see.
        """
        self.request = request
        self.sessions = sessions
        self.backend = backend
        self.links = links
        self.site = site
        self.catalogue = catalogue

    def note_owner(self, token: str) -> None:
        """Let the server's log name the token's owner."""
        self.request.environ["REMOTE_USER"] = self.backend.owner_of(token)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        return Response(render(template, self.links, site=self.site, **values), status, content_type=_HTML)

    def argument(self, name: str) -> str:
        """Return what the address says after `name=`, cut to a bearable length, and as a page may show it."""
        return printable(self.request.args.get(name, "")[:_LONGEST_QUERY]).strip()
