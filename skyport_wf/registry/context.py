"""One request to the registry: who makes it, and what answers it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from skyport_wf.registry.staging import Staging

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from skyport_wf.registry.backend import Backend
    from skyport_wf.registry.lookup import Lookup
    from skyport_wf.registry.view import View


class RequestContext:
    """A request, and the Shock as its sender sees it."""

    def __init__(self, request: Request, view: View, backend: Backend, lookup: Lookup, *, url: str) -> None:
        """Hold these together. url: the registry's address, as clients know it."""
        self.request = request
        self.view = view
        self.backend = backend
        self.lookup = lookup
        self.url = url

    @cached_property
    def staging(self) -> Staging:
        """Blobs and manifests that the sender has pushed and not published yet."""
        return Staging(self.view.caller.token)
