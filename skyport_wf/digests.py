"""Digests by SHA-256 as everybody writes them who has images.

Source: OCI image-spec, descriptor.md, "Digests".
"""

import hashlib
import re

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(content: bytes) -> str:
    """Return `sha256:` and the SHA-256, 64 hex digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_sha256(text: str) -> bool:
    """Return whether a text is such a digest."""
    return _SHA256.fullmatch(text) is not None
