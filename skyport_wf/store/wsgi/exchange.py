"""One request to the store and its answer: who asks, and Shock's JSON with nodes and ACLs in it."""

import hashlib
from typing import Any

import msgspec
from werkzeug.wrappers import Request, Response

from skyport_wf.store.access import ANONYMOUS, OURSELVES, PUBLIC, RIGHTS, Acl, Right, User
from skyport_wf.store.node import StoredNode
from skyport_wf.store.opening import Store
from skyport_wf.store.refusals import UnauthorizedError

HEADERS = {
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer. As with Shock, web pages may ask, with a token that they know, never with the browser's own. What
someone uploaded is not to become such a page."""

EMBEDDED_SCHEME = "http+embedded"
"""The scheme of addresses in this process. `requests` adds parameters only to addresses that start with `http`."""
FOR_OTHERS = "skyport_wf.for_others"
"""The variable of a request in this process whose answer is for somebody else than the owner of the store."""

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""
_UNIT = 1024 * 1024
"""Shock counts the size of a file in these."""


class RequestContext(msgspec.Struct, frozen=True):
    """One request, who makes it, and the store that is to answer it."""

    store: Store
    request: Request
    user: User
    """Known by their token, or anonymous."""
    anonymous: frozenset[str]
    """Rights of users without a token here, of `read`, `write` and `delete`, where the node allows it."""
    public_url: str | None = None
    """The address that clients use, if it is not the one that the request names."""

    @property
    def url(self) -> str:
        """The server's address, as clients know it."""
        return (self.public_url or self.request.host_url).rstrip("/")

    def require(self, right: Right) -> None:
        """Raise UnauthorizedError for a user who did not say who they are, where the server wants to know."""
        if self.user == ANONYMOUS and right not in self.anonymous:
            raise UnauthorizedError("No Authorization")

    def read_as_named(self, identity: str) -> StoredNode:
        """Return a node that the user may read themselves: that everyone may counts only for anonymous users.

        So Shock guards what it tells of a node beside the node itself. Raises NodeNotFoundError, UnauthorizedError.
        """
        self.require("read")
        node = self.store.read(identity, OURSELVES)
        if not node.acl.names(self.user, "read"):
            raise UnauthorizedError("User Unauthorized")
        return node


def data_response(data: Any, **page: int) -> Response:
    """Return an answer that went well. page: limit, offset and total_count of a list."""
    return json_response({"status": 200, "data": data, "error": None, **page})


def error_response(status: int, message: str) -> Response:
    """Return an answer that says what went wrong; `error` is a list, as in Shock."""
    return json_response({"status": status, "data": None, "error": [message]}, status)


def json_response(document: Any, status: int = 200) -> Response:
    """Return a document without an envelope."""
    return Response(msgspec.json.encode(document), status, HEADERS, "application/json")


def node_document(node: StoredNode, *, created: bool = False) -> dict[str, Any]:
    """Return a node as Shock shows it.

    created: the node was made by this very request: Shock then answers null for lists that it has not read
    from its database yet, where it answers [] later.
    """
    empty: list[Any] | None = None if created else []
    content, parts, since = node.content, node.parts, node.content_since
    units = -(-content.size // _UNIT) if content else 0
    size_index = {"total_units": units, "average_unit_size": _UNIT, "created_on": since, "locked": None}
    # A hash for each part of a node that changes by itself.
    versions = {
        "acl_ver": _digest(node.acl),
        "attributes_ver": _digest(node.attributes),
        "file_ver": _digest((node.file_name, content, parts)),
        "indexes_ver": _digest(content),
    }
    shown_parts = None
    if parts:
        names: list[Any] = [empty] * parts.count
        for part in parts.present:
            names[part.number - 1] = [part.name, part.content.md5]
        shown_parts = {
            "count": parts.count,
            "length": len(parts.present),
            "varlen": parts.open_ended,
            "parts": names,
            "compression": parts.compression,
        }
    return {
        "id": node.id,
        "version": _digest(versions),
        "file": {
            "name": node.file_name,
            "size": content.size if content else 0,
            "checksum": {"md5": content.md5} if content else {},
            "format": node.file_format,
            "virtual": False,
            "virtual_parts": empty,
            "created_on": since or _NEVER,
            "locked": {"created_on": node.lock.since, "error": node.lock.error} if node.lock else None,
        },
        "attributes": node.attributes,
        "indexes": {"size": size_index} if content else {},
        "version_parts": versions,
        "tags": list(node.tags) or empty,
        "linkage": empty,
        "priority": node.priority,
        "created_on": node.created_on,
        "last_modified": node.last_modified or _NEVER,
        "expiration": node.expiration or _NEVER,
        "type": node.type,
        "parts": shown_parts,
        "locations": empty,
        "restore": False,
    }


def acl_document(acl: Acl) -> dict[str, Any]:
    """Return an ACL as Shock shows it: what everyone may do stands apart from the users."""
    rights = {right: getattr(acl, right) for right in RIGHTS}
    return {
        "owner": acl.owner,
        **{right: [user for user in users if user != PUBLIC] for right, users in rights.items()},
        "public": {right: PUBLIC in users for right, users in rights.items()},
    }


def _digest(value: Any) -> str:
    return hashlib.md5(msgspec.json.encode(value), usedforsecurity=False).hexdigest()
