"""The Shock behind a registry, as one caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from skyport_wf.publication.resolve import resolve
from skyport_wf.registry.authorization import login_words
from skyport_wf.registry.refusals import UnauthorizedError
from skyport_wf.shock.connection import ShockRefusalError

if TYPE_CHECKING:
    from skyport_wf.registry.authorization import Caller
    from skyport_wf.registry.backend import Backend
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


class View:
    """The images that a caller may read; others are not there."""

    def __init__(self, backend: Backend, caller: Caller) -> None:
        self.caller = caller
        self._backend = backend
        self._found_as_nobody: dict[str, Node | None] = {}

    @cached_property
    def _nobody(self) -> ShockClient:
        return self._backend.client(None)

    @cached_property
    def shock(self) -> ShockClient:
        """The Shock as the caller asks it."""
        return self._backend.client(self.caller.token) if self.caller.token else self._nobody

    @property
    def anyone_writes(self) -> bool:
        """Whether the Shock takes nodes from those without a token."""
        rights = self._nobody.read_server().get("anonymous_permissions")
        return isinstance(rights, dict) and rights.get("write") is True

    def check(self) -> None:
        """Raise UnauthorizedError if the Shock does not know the caller, or tells nothing to those without a token."""
        if not self.shock.may_ask():
            raise self._unauthorized()

    def query(
        self, attributes: Mapping[str, str], *, limit: int | None = None, oldest_first: bool = False
    ) -> list[Node]:
        """Return the nodes that the caller may read whose attributes match, as ShockClient.query does."""
        try:
            return self.shock.query(attributes, limit=limit, oldest_first=oldest_first)
        except ShockRefusalError as error:
            if error.is_about_rights:
                raise self._unauthorized() from error
            raise

    def resolve(self, asked: str) -> Node:
        """Return the node that an AWE worker with the caller's token would take, as publication.resolve does."""
        try:
            return resolve(self.shock, asked)
        except ShockRefusalError as error:
            if error.is_about_rights:
                raise self._unauthorized() from error
            raise

    def find(self, node_id: str) -> Node | None:
        """Return a node, None if it is not there for the caller."""
        return self._find_as_nobody(node_id) or (_find(self.shock, node_id) if self.caller.token else None)

    def is_public(self, node_id: str) -> bool:
        """Return whether everyone may read a node that the caller may read."""
        return self.caller.token is None or self._find_as_nobody(node_id) is not None

    def _unauthorized(self) -> UnauthorizedError:
        words = login_words(with_name=self._backend.has_passwords)
        return UnauthorizedError(f"this is for users that the Shock knows. Log in with {words}.")

    def _find_as_nobody(self, node_id: str) -> Node | None:
        # A view lasts as long as a request.
        if node_id not in self._found_as_nobody:
            self._found_as_nobody[node_id] = _find(self._nobody, node_id)
        return self._found_as_nobody[node_id]


def _find(shock: ShockClient, node_id: str) -> Node | None:
    try:
        return shock.find(node_id)
    except ShockRefusalError as error:
        if error.is_about_rights:
            return None
        raise
