"""What a route gets to answer a request with."""

import msgspec
from werkzeug.wrappers import Request

from skyport_wf.store.opening import Store
from skyport_wf.store.values import User


class Call(msgspec.Struct, frozen=True):
    """One request to the store, and who makes it."""

    store: Store
    request: Request
    user: User
    """Known by their token, or anonymous."""
    anonymous: frozenset[str]
    """What users without a token may do here, of `read`, `write` and `delete`, where the node allows it."""
