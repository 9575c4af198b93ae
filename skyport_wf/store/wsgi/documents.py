"""Nodes and ACLs as the JSON that Shock answers."""

import hashlib
from typing import Any

import msgspec

from skyport_wf.store.values import PUBLIC, Acl, Node, Parts

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""
_UNIT = 1024 * 1024
"""What Shock counts a file in."""


def node_document(node: Node, *, created: bool = False) -> dict[str, Any]:
    """Return a node as Shock shows it.

    created: the node was made by this very request: Shock then answers null for lists that it has not read
    from its database yet, where it answers [] later.
    """
    empty: list[Any] | None = None if created else []
    return {
        "id": node.id,
        "version": _digest(_version_parts(node)),
        "file": _file(node, empty),
        "attributes": node.attributes,
        "indexes": _indexes(node),
        "version_parts": _version_parts(node),
        "tags": list(node.tags) or empty,
        "linkage": empty,
        "priority": node.priority,
        "created_on": node.created_on,
        "last_modified": node.last_modified or _NEVER,
        "expiration": node.expiration or _NEVER,
        "type": node.type,
        "parts": _parts(node.parts, empty) if node.parts else None,
        "locations": empty,
        "restore": False,
    }


def acl_document(acl: Acl) -> dict[str, Any]:
    """Return an ACL as Shock shows it: what everyone may do stands apart from the users."""
    rights = {right: getattr(acl, right) for right in ("read", "write", "delete")}
    return {
        "owner": acl.owner,
        **{right: [user for user in users if user != PUBLIC] for right, users in rights.items()},
        "public": {right: PUBLIC in users for right, users in rights.items()},
    }


def _file(node: Node, empty: list[Any] | None) -> dict[str, Any]:
    content = node.content
    return {
        "name": node.file_name,
        "size": content.size if content else 0,
        "checksum": {"md5": content.md5} if content else {},
        "format": node.file_format,
        "virtual": False,
        "virtual_parts": empty,
        "created_on": node.content_since or _NEVER,
        "locked": {"created_on": node.lock.since, "error": node.lock.error} if node.lock else None,
    }


def _indexes(node: Node) -> dict[str, Any]:
    if not node.content:
        return {}
    units = -(-node.content.size // _UNIT)
    since = node.content_since
    return {"size": {"total_units": units, "average_unit_size": _UNIT, "created_on": since, "locked": None}}


def _parts(parts: Parts, missing: list[Any] | None) -> dict[str, Any]:
    """Return the list of parts: name and MD5 of each, in its place."""
    listed: list[Any] = [missing] * parts.count
    for part in parts.present:
        listed[part.number - 1] = [part.name, part.content.md5]
    return {
        "count": parts.count,
        "length": len(parts.present),
        "varlen": parts.open_ended,
        "parts": listed,
        "compression": parts.compression,
    }


def _version_parts(node: Node) -> dict[str, str]:
    """Return a hash for each part of a node that changes by itself."""
    return {
        "acl_ver": _digest(node.acl),
        "attributes_ver": _digest(node.attributes),
        "file_ver": _digest((node.file_name, node.content, node.parts)),
        "indexes_ver": _digest(node.content),
    }


def _digest(value: Any) -> str:
    return hashlib.md5(msgspec.json.encode(value), usedforsecurity=False).hexdigest()
