"""The `Authorization` header, which says who is asking, and the only server that gets to see it."""

from __future__ import annotations

import base64

import requests

from skyport_wf.http_session import origin_of

BASIC = "basic"
"""The scheme, in any case, whose token is USER:PASSWORD (RFC 7617)."""


class Authorization(requests.auth.AuthBase):
    """Sends a token to one server, and to no other.

    Given to requests as an auth object, a `.netrc` does not put something else in its place. Where a server
    sends a request elsewhere, requests itself takes the header off.
    """

    def __init__(self, url: str, token: str | None, scheme: str) -> None:
        """Speak for the owner of the token.

        url: the server.
        scheme: the word before the token, as it differs between Shock installations.
        """
        self._origin = origin_of(url)
        self._secrets = [token] if token else []
        if token and scheme.lower() == BASIC:
            scheme, token = "Basic", base64.b64encode(token.encode()).decode()
            self._secrets.append(token)
        self._header = f"{scheme} {token}" if token else None

    @property
    def has_token(self) -> bool:
        """Whether there is one to send."""
        return self._header is not None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the header on."""
        if self._header and origin_of(request.url or "") == self._origin:
            request.headers["Authorization"] = self._header
        return request

    def hide(self, text: str) -> str:
        """Return what a server says without the token, which it may repeat when it refuses it."""
        for secret in self._secrets:
            text = text.replace(secret, "(the token)")
        return text

    def __repr__(self) -> str:
        return "Authorization(...)"
