"""The routes under /node/ID/acl: who may do what to a node."""

import msgspec
from werkzeug.wrappers import Response

from skyport_wf.store.access import RIGHTS, Right, granted, is_in_charge, require_anonymous, revoked
from skyport_wf.store.refusals import InvalidRequestError, UnauthorizedError
from skyport_wf.store.users import find_by_name, find_or_create
from skyport_wf.store.values import ANONYMOUS, OURSELVES, PUBLIC, Acl, User, is_uuid
from skyport_wf.store.wsgi.calls import Call
from skyport_wf.store.wsgi.documents import acl_document
from skyport_wf.store.wsgi.forms import read_fields
from skyport_wf.store.wsgi.responses import data_response

_KINDS: dict[str, tuple[Right, ...]] = {
    "all": RIGHTS,
    "read": ("read",),
    "write": ("write",),
    "delete": ("delete",),
    "owner": (),
}
_PUBLIC_KINDS = {f"{PUBLIC}_{kind}": rights for kind, rights in _KINDS.items() if rights}
_MOST_USERS = 1000


def read_acl(call: Call, identity: str) -> Response:
    """GET /node/ID/acl: who may do what, to those who may read the node."""
    require_anonymous(call.user, "read", call.anonymous)
    return data_response(acl_document(call.store.read(identity, call.user).acl))


def read_typed_acl(call: Call, identity: str, kind: str) -> Response:
    """GET /node/ID/acl/KIND: the same; Shock shows the whole ACL here too."""
    _check_kind(kind)
    return read_acl(call, identity)


def change_acl(call: Call, identity: str, kind: str) -> Response:
    """PUT, POST or DELETE /node/ID/acl/KIND: give or take rights."""
    _check_kind(kind)
    # Whether the node is there Shock tells everyone, before it asks for rights.
    acl = call.store.read(identity, OURSELVES).acl
    user = call.user
    if user == ANONYMOUS:
        # Even where everyone may do everything: without a token Shock changes no ACL.
        raise UnauthorizedError("No Authorization")
    removing = call.request.method == "DELETE"
    _check_right(acl, user, kind, removing)
    users = (PUBLIC,) if kind in _PUBLIC_KINDS else _users(call, removing)

    def change(acl: Acl) -> Acl:
        # Asked again: the owner may be another one by now.
        _check_right(acl, user, kind, removing)
        _check_users(acl, user, kind, users, removing)
        return _changed(acl, kind, users, removing)

    return data_response(acl_document(call.store.change_acl(identity, change)))


def _check_kind(kind: str) -> None:
    if kind not in _KINDS and kind not in _PUBLIC_KINDS:
        raise InvalidRequestError("Invalid acl type")


def _check_right(acl: Acl, user: User, kind: str, removing: bool) -> None:
    """Raise InvalidRequestError unless the user is in charge, or wants to remove themselves."""
    if not is_in_charge(acl, user) and (not removing or kind in _PUBLIC_KINDS):
        raise InvalidRequestError("Users that are not node owners can only delete themselves from ACLs.")


def _check_users(acl: Acl, user: User, kind: str, users: tuple[str, ...], removing: bool) -> None:
    if not is_in_charge(acl, user) and users != (user.id,):
        raise InvalidRequestError("Users that are not node owners can delete only themselves from ACLs.")
    if kind == "owner" and removing:
        raise InvalidRequestError("Deleting ownership is not a supported request type.")
    if kind == "owner" and len(users) != 1:
        raise InvalidRequestError("Too many users. Nodes may have only one owner.")


def _changed(acl: Acl, kind: str, users: tuple[str, ...], removing: bool) -> Acl:
    if kind == "owner":
        # The former owner keeps whatever rights stand in the lists, as in Shock.
        return msgspec.structs.replace(acl, owner=users[0])
    rights = _KINDS[kind.removeprefix(f"{PUBLIC}_")]
    return revoked(acl, users, rights) if removing else granted(acl, users, rights)


def _users(call: Call, removing: bool) -> tuple[str, ...]:
    """Return the ids of the users that the request names, by id or by name."""
    text = call.request.args.get("users")
    if call.request.mimetype == "multipart/form-data":
        text = read_fields(call.request, call.store.files).get("users")
    names = text.split(",") if text else []
    if not names:
        raise InvalidRequestError("Action requires list of comma separated usernames in 'users' parameter")
    if len(names) > _MOST_USERS:
        raise InvalidRequestError(f"an ACL cannot be given more than {_MOST_USERS} users at once")
    return tuple(identity for name in names if (identity := _user_id(call, name, removing)))


def _user_id(call: Call, name: str, removing: bool) -> str | None:
    """Return the id of a user who is given by id or by name; None to remove someone whom nobody knows.

    A name that nobody has becomes a user, as in Shock: so one can share with someone who has yet to come.
    """
    if is_uuid(name):
        return name
    if not removing:
        return find_or_create(call.store.database, name).id
    user = find_by_name(call.store.database, name)
    return user.id if user else None
