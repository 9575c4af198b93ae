"""The routes under /node/ID/acl: who may do what to a node."""

import msgspec
from werkzeug.wrappers import Response

from skyport_wf.store.access import ANONYMOUS, OURSELVES, PUBLIC, RIGHTS, Acl, Right, User
from skyport_wf.store.database import is_uuid
from skyport_wf.store.refusals import InvalidRequestError, UnauthorizedError, UnsupportedError
from skyport_wf.store.users import find_by_name, find_or_create
from skyport_wf.store.wsgi.exchange import RequestContext, acl_document, data_response
from skyport_wf.store.wsgi.forms import read_form

_KINDS: dict[str, tuple[Right, ...]] = {
    "all": RIGHTS,
    "read": ("read",),
    "write": ("write",),
    "delete": ("delete",),
    "owner": (),
}
_PUBLIC_KINDS = {f"{PUBLIC}_{kind}": rights for kind, rights in _KINDS.items() if rights}
_MOST_USERS = 1000


def read_acl(context: RequestContext, identity: str) -> Response:
    """GET /node/ID/acl: who may do what."""
    _check_arguments(context)
    return data_response(acl_document(context.read_as_named(identity).acl))


def read_typed_acl(context: RequestContext, identity: str, kind: str) -> Response:
    """GET /node/ID/acl/KIND: the whole ACL, too; of known users, Shock shows it only to those who may change it."""
    _check_kind(kind)
    acl = context.store.read(identity, OURSELVES).acl
    if context.user != ANONYMOUS and not acl.is_ruled_by(context.user):
        raise InvalidRequestError("Users that are not node owners can only delete themselves from ACLs.")
    return read_acl(context, identity)


def change_acl(context: RequestContext, identity: str, kind: str) -> Response:
    """PUT, POST or DELETE /node/ID/acl/KIND: give or take rights."""
    _check_kind(kind)
    _check_arguments(context)
    # Whether the node is there Shock tells everyone, before it asks for rights.
    acl = context.store.read(identity, OURSELVES).acl
    user = context.user
    if user == ANONYMOUS:
        # Even where everyone may do everything: without a token Shock changes no ACL.
        raise UnauthorizedError("No Authorization")
    removing = context.request.method == "DELETE"
    _check_right(acl, user, kind, removing)
    users = (PUBLIC,) if kind in _PUBLIC_KINDS else _read_users(context, removing)

    def change(acl: Acl) -> Acl:
        # Asked again: the owner may be another one by now.
        _check_right(acl, user, kind, removing)
        if not acl.is_ruled_by(user) and users != (user.id,):
            raise InvalidRequestError("Users that are not node owners can delete only themselves from ACLs.")
        if kind == "owner":
            if removing:
                raise InvalidRequestError("Deleting ownership is not a supported request type.")
            if len(users) != 1:
                raise InvalidRequestError("Too many users. Nodes may have only one owner.")
            # The former owner keeps whatever rights stand in the lists, as in Shock.
            return msgspec.structs.replace(acl, owner=users[0])
        rights = _KINDS[kind.removeprefix(f"{PUBLIC}_")]
        return acl.revoked(users, rights) if removing else acl.granted(users, rights)

    return data_response(acl_document(context.store.change_acl(identity, change)))


def _check_arguments(context: RequestContext) -> None:
    if "verbosity" in context.request.args:
        raise UnsupportedError("verbosity is not supported by this server")


def _check_kind(kind: str) -> None:
    if kind not in _KINDS and kind not in _PUBLIC_KINDS:
        raise InvalidRequestError("Invalid acl type")


def _check_right(acl: Acl, user: User, kind: str, removing: bool) -> None:
    """Raise InvalidRequestError unless the user is in charge, or wants to remove themselves."""
    if not acl.is_ruled_by(user) and (not removing or kind in _PUBLIC_KINDS):
        raise InvalidRequestError("Users that are not node owners can only delete themselves from ACLs.")


def _read_users(context: RequestContext, removing: bool) -> tuple[str, ...]:
    """Return the ids of the users that the request names, by id or by name."""
    text = context.request.args.get("users")
    if context.request.mimetype == "multipart/form-data":
        with read_form(context.request, context.store.files) as form:
            text = form.fields.get("users")
    names = text.split(",") if text else []
    if not names:
        raise InvalidRequestError("Action requires list of comma separated usernames in 'users' parameter")
    if len(names) > _MOST_USERS:
        raise InvalidRequestError(f"an ACL cannot be given more than {_MOST_USERS} users at once")
    users = []
    for name in names:
        if is_uuid(name):
            users.append(name)
        elif not removing:
            # A name that nobody has becomes a user, as in Shock: so one can share with someone who has yet to come.
            users.append(find_or_create(context.store.database, name).id)
        elif found := find_by_name(context.store.database, name):
            users.append(found.id)
    return tuple(users)
