"""Reasons to refuse a request, each with the code and the HTTP status that the OCI distribution spec has for it.

The codes that are not in its table are those that distribution's own registry sends.
"""

from collections.abc import Mapping

from skyport_wf.errors import SkyportError


class RegistryError(SkyportError):
    """The request cannot be done; nothing was changed."""

    code = "UNKNOWN"
    status = 500

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer that belong to the refusal."""
        return {}


class UnreadableError(RegistryError):
    """The image is there, and its file cannot be read."""


class NameInvalidError(RegistryError):
    """No registry can have a repository of this name."""

    code = "NAME_INVALID"
    status = 400


class NameUnknownError(RegistryError):
    """There is no image of this repository that the caller may read."""

    code = "NAME_UNKNOWN"
    status = 404


class ManifestUnknownError(RegistryError):
    """There is no such image that the caller may read."""

    code = "MANIFEST_UNKNOWN"
    status = 404


class ManifestInvalidError(RegistryError):
    """A manifest, a tag or a digest of one is wrong."""

    code = "MANIFEST_INVALID"
    status = 400


class BlobUnknownError(RegistryError):
    """There is no such blob that the caller may read."""

    code = "BLOB_UNKNOWN"
    status = 404


class DigestInvalidError(RegistryError):
    """A digest is none, or is not that of the bytes."""

    code = "DIGEST_INVALID"
    status = 400


class PageInvalidError(RegistryError):
    """The number of entries that is asked for is none."""

    code = "PAGINATION_NUMBER_INVALID"
    status = 400


class RangeInvalidError(RegistryError):
    """A blob does not have the range that is asked for."""

    code = "RANGE_INVALID"
    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"the blob has {size} bytes, and none of the range that is asked for")
        self._size = size

    @property
    def headers(self) -> Mapping[str, str]:
        """The size."""
        return {"Content-Range": f"bytes */{self._size}"}


class PreconditionError(RegistryError):
    """What the caller has is something else than what the address leads to."""

    code = "PRECONDITION_FAILED"
    status = 412


class UnsupportedError(RegistryError):
    """The registry does not do this, or not with this method."""

    code = "UNSUPPORTED"
    status = 405

    def __init__(self, message: str, *, allowed: tuple[str, ...] = ("GET", "HEAD")) -> None:
        super().__init__(message)
        self._allowed = allowed

    @property
    def headers(self) -> Mapping[str, str]:
        """The methods that are known."""
        return {"Allow": ", ".join(self._allowed)}


class RouteUnknownError(RegistryError):
    """A registry has nothing at this address."""

    code = "UNSUPPORTED"
    status = 404


class UnauthorizedError(RegistryError):
    """The caller did not say who they are, or nobody is who they say."""

    code = "UNAUTHORIZED"
    status = 401


class UnavailableError(RegistryError):
    """The Shock behind the registry does not answer; asking again may help."""

    code = "UNAVAILABLE"
    status = 503

    @property
    def headers(self) -> Mapping[str, str]:
        """Seconds until another try makes sense."""
        return {"Retry-After": "5"}


class UploadUnknownError(RegistryError):
    """There is no such upload of the caller's, or no longer."""

    code = "BLOB_UPLOAD_UNKNOWN"
    status = 404


class UploadInvalidError(RegistryError):
    """A chunk does not follow the one before it."""

    code = "BLOB_UPLOAD_INVALID"
    status = 416


class SizeInvalidError(RegistryError):
    """Something is larger than it may be, or not as long as it was said to be."""

    code = "SIZE_INVALID"
    status = 413


class ManifestBlobUnknownError(RegistryError):
    """A manifest names what was not pushed before it, and what no image has that the caller may read."""

    code = "MANIFEST_BLOB_UNKNOWN"
    status = 404


class TagInvalidError(RegistryError):
    """Nothing can be published under this tag."""

    code = "TAG_INVALID"
    status = 400


class DeniedError(RegistryError):
    """The name is taken, by another image or another user."""

    code = "DENIED"
    status = 409


class TooManyError(RegistryError):
    """The caller has begun too much that is not finished, or the disk is full."""

    code = "TOOMANYREQUESTS"
    status = 429
