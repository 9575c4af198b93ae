"""The caller, told by a Shock token as registries' clients send it.

A client is sent to a token service (`/v2/token`), which takes any user name with the Shock token as password and gives
that token back; one that has nothing gets a token that stands for nobody. A challenge for Basic would be simpler, but
Docker fails on it where it has no password, and then nobody could pull what everyone may read. Who sends Basic all the
same is understood, too.

Some Shocks know users by name and password: the token is USER:PASSWORD then, and as it may have any letters, clients
get it, and send it back, as base64.
Source: distribution's token authentication; RFC 6750, RFC 7617.
"""

import base64
import re
from typing import Final

import msgspec
from werkzeug.datastructures import Authorization
from werkzeug.http import quote_header_value

from skyport_wf.registry.refusals import UnauthorizedError

TOKEN_PATH: Final = "/v2/token"  # noqa: S105 - an address
SERVICE: Final = "skyport-wf"
NOBODY: Final = "anonymous"
"""The token of who has none. It never goes to a Shock."""
_SECONDS: Final = 3600
"""How long a client may use a token before it asks again. The token itself is as good as Shock takes it for."""
_LONGEST = 65536
_USABLE = re.compile(r"[!-~]+")
"""A header can carry it, as a part of its own."""


class Caller(msgspec.Struct, frozen=True):
    """Someone who sends a request."""

    token: str | None
    """Their Shock token; None for nobody in particular."""
    has_answered: bool
    """Whether they sent any authorization: if not, they may do better when they are asked to."""

    def __repr__(self) -> str:
        return "Caller(...)"


class TokenAnswer(msgspec.Struct, frozen=True):
    """The answer of the token service; some clients read one field, some the other."""

    token: str
    access_token: str
    expires_in: int = _SECONDS


def read_caller(header: str | None, *, with_name: bool = False) -> Caller:
    """Return who sends the header `Authorization`. Raises UnauthorizedError if it makes no sense.

    with_name: whether the Shock's token is USER:PASSWORD, and not only what is sent as password.
    """
    if header is None:
        return Caller(None, has_answered=False)
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if scheme.lower() == "basic" and token:
        basic = Authorization.from_header(header.strip())
        if basic and (basic.username, basic.password) == ("", ""):
            # So some clients ask for the token that is nobody's.
            return Caller(None, has_answered=True)
        token = (basic and basic.password) or ""
        if with_name and basic and token:
            token = f"{basic.username}:{token}"
    elif with_name and token != NOBODY:
        token = _read_handed_out(token)
    usable = token.isprintable() if with_name else _USABLE.fullmatch(token)
    if not token or len(token) > _LONGEST or not usable:
        raise UnauthorizedError(f"the authorization makes no sense. Give {login_words(with_name=with_name)}.")
    return Caller(None if token == NOBODY else token, has_answered=True)


def login_words(*, with_name: bool) -> str:
    """Return what to log in with, in words. with_name: as `read_caller` has it."""
    return "your user name and password at the Shock" if with_name else "any user name, and a Shock token as password"


def _read_handed_out(token: str) -> str:
    """Return the USER:PASSWORD of a token that `answer_token` gave; empty if it is none."""
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError:
        return ""


def challenge(url: str) -> str:
    """Return the header that tells a client where to get a token.

    url: the registry's address, as clients know it.
    """
    realm = quote_header_value(url + TOKEN_PATH, allow_token=False)
    return f'Bearer realm={realm},service="{SERVICE}"'


def answer_token(caller: Caller, *, with_name: bool) -> TokenAnswer:
    """Return what the token service answers someone who was found to be who they say; with_name: as `read_caller`."""
    token = caller.token or NOBODY
    if with_name and caller.token:
        token = base64.b64encode(caller.token.encode()).decode()
    return TokenAnswer(token, token)
