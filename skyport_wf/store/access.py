"""Who may do what to a node. Every route asks here; queries ask the same of the database (see query.py)."""

from typing import Literal

import msgspec

from skyport_wf.store.refusals import UnauthorizedError
from skyport_wf.store.values import ANONYMOUS, PUBLIC, Acl, User

Right = Literal["read", "write", "delete"]
RIGHTS: tuple[Right, ...] = ("read", "write", "delete")


def is_allowed(acl: Acl, user: User, right: Right) -> bool:
    """Return whether the user has the right: as owner, as admin, by name, or because everyone has it."""
    holders = getattr(acl, right)
    return user.admin or user.id == acl.owner or user.id in holders or PUBLIC in holders


def require(acl: Acl, user: User, right: Right) -> None:
    """Raise UnauthorizedError unless the user has the right."""
    if not is_allowed(acl, user, right):
        raise UnauthorizedError("User Unauthorized")


def require_anonymous(user: User, right: Right, anonymous: frozenset[str]) -> None:
    """Raise UnauthorizedError for a user who did not say who they are, where the store wants to know."""
    if user == ANONYMOUS and right not in anonymous:
        raise UnauthorizedError("No Authorization")


def is_in_charge(acl: Acl, user: User) -> bool:
    """Return whether the user may change the ACL."""
    return user.admin or user.id == acl.owner


def acl_of_owner(user: User) -> Acl:
    """Return the ACL of a new node: everything for its owner; for everyone, if it is an anonymous upload."""
    return Acl(user.id, (user.id,), (user.id,), (user.id,))


def granted(acl: Acl, users: tuple[str, ...], rights: tuple[Right, ...]) -> Acl:
    """Return the ACL with the users having the rights as well."""
    changed = {right: _union(getattr(acl, right), users) for right in rights}
    return msgspec.structs.replace(acl, **changed)


def revoked(acl: Acl, users: tuple[str, ...], rights: tuple[Right, ...]) -> Acl:
    """Return the ACL without those rights of the users."""
    changed = {right: tuple(user for user in getattr(acl, right) if user not in users) for right in rights}
    return msgspec.structs.replace(acl, **changed)


def _union(users: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*users, *more)))
