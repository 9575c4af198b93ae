"""The one check of addresses that are asked over HTTP: a Shock's, a Dockerfile's, a repository's."""

import re
from urllib.parse import SplitResult, urlsplit

from skyport_wf.errors import UsageError

_SCHEMES = ("http", "https")
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_LONGEST_HOST, _LONGEST_LABEL = 253, 63


def split_url(text: str, *, instead: str) -> SplitResult:
    """Return the parts of an address that a server can be asked at.

    instead: what to write, if it is none; a whole sentence but for its end.

    Raises UsageError, with the reason, for any other, and for one with a user or password in it. The message does not
    show the address: there may be a secret in it.
    """
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise UsageError(f"not an address. {instead}") from error
    if parts.scheme not in _SCHEMES:
        raise UsageError(f"this kind of address is not supported. {instead}")
    if "@" in parts.netloc:
        raise UsageError("a user or password in the address would end up in records. Give an address that needs none")
    if not (port_is_fine and text.isprintable() and not re.search(r"[\s\\]", text) and _is_host(parts.hostname)):
        raise UsageError(f"not an address. {instead}")
    return parts


def one_spelling(url: str) -> str:
    """Return the one spelling of a server's URL: lower case up to the path, no usual port, no slash at the end.

    What is no URL, such as `embedded`, stays as it is.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    host = parts.netloc.lower().removesuffix(_USUAL_PORTS.get(parts.scheme, ""))
    return parts._replace(netloc=host.removesuffix(":")).geturl().rstrip("/")


def _is_host(name: str | None) -> bool:
    """Return whether it can be looked up; libraries fail in their own words on what cannot (RFC 1035, 2.3.4)."""
    if not name or len(name) > _LONGEST_HOST:
        return False
    if ":" in name:
        return True  # an IPv6 address, which urlsplit has checked
    try:
        labels = name.removesuffix(".").encode("idna").split(b".")
    except UnicodeError:
        return False
    return all(0 < len(label) <= _LONGEST_LABEL for label in labels)
