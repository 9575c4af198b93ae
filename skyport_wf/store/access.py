"""Users, and what a node's ACL lets them do. Queries ask the database the same (search.py)."""

from typing import Literal

import msgspec

from skyport_wf.store.refusals import UnauthorizedError

Right = Literal["read", "write", "delete"]
RIGHTS: tuple[Right, ...] = ("read", "write", "delete")

PUBLIC = "public"
"""Shock's name for everyone: the owner of anonymous uploads, and in an ACL the right of all users."""


class User(msgspec.Struct, frozen=True):
    """Someone who sends requests."""

    id: str
    """A UUID, or `public` for everyone who did not say who they are."""
    name: str
    """The login name, or the name given with `user add`."""
    admin: bool = False
    """An admin has every right on every node."""


ANONYMOUS = User(PUBLIC, PUBLIC)
"""Everyone who sends no token."""

OURSELVES = User("store", "store", admin=True)
"""The store, for what it does on nobody's behalf."""


class Acl(msgspec.Struct, frozen=True):
    """The users who have each right on a node: user ids, in the order in which they were added."""

    owner: str
    """The user who may also change the ACL; `public` for an anonymous upload."""
    read: tuple[str, ...] = ()
    """Users who may read the node and its file."""
    write: tuple[str, ...] = ()
    """Users who may change its attributes and add a file."""
    delete: tuple[str, ...] = ()
    """Users who may delete it, or let it expire."""

    def is_ruled_by(self, user: User) -> bool:
        """Return whether the user may change the ACL."""
        return user.admin or user.id == self.owner

    def allows(self, user: User, right: Right) -> bool:
        """Return whether the user has the right: as owner, as admin, by name, or because everyone has it."""
        holders = getattr(self, right)
        return self.is_ruled_by(user) or user.id in holders or PUBLIC in holders

    def names(self, user: User, right: Right) -> bool:
        """Return whether the user has the right themselves; that everyone has it counts only for anonymous users.

        Shock asks this before it shows an ACL or copies a file. Nodes that are everyone's are open here, too.
        """
        return self.is_ruled_by(user) or self.owner == PUBLIC or user.id in getattr(self, right)

    def require(self, user: User, right: Right) -> None:
        """Raise UnauthorizedError unless the user has the right."""
        if not self.allows(user, right):
            raise UnauthorizedError("User Unauthorized")

    def granted(self, users: tuple[str, ...], rights: tuple[Right, ...]) -> "Acl":
        """Return the ACL with the users having the rights as well."""
        changed = {right: tuple(dict.fromkeys((*getattr(self, right), *users))) for right in rights}
        return msgspec.structs.replace(self, **changed)

    def revoked(self, users: tuple[str, ...], rights: tuple[Right, ...]) -> "Acl":
        """Return the ACL without those rights of the users."""
        changed = {right: tuple(user for user in getattr(self, right) if user not in users) for right in rights}
        return msgspec.structs.replace(self, **changed)
