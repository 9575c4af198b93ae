"""The lists of a registry, in pages: its repositories, and the tags of one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from werkzeug.wrappers import Response

from skyport_wf.formatting import count, shortened
from skyport_wf.image_list.reference import LATEST, is_repository, is_tag
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.thin import name_of
from skyport_wf.registry.refusals import NameUnknownError, PageInvalidError

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from skyport_wf.registry.context import RequestContext

_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN: Final = 3


class _Page(msgspec.Struct, frozen=True):
    names: list[str]
    link: str
    """Where the next page is; empty for the last."""


def answer_catalog(context: RequestContext) -> Response:
    """GET /v2/_catalog: the repositories with an image that the caller may read.

    Names that no registry can have are left out, and said in a warning.
    """
    named = {name_of(node).rpartition(":")[0] or name_of(node) for node in context.view.query({"type": IMAGE_TYPE})}
    page = _page(context.request, filter(is_repository, named))
    answer = _answer({"repositories": page.names}, page)
    if hidden := sorted(name for name in named if not is_repository(name)):
        shown = ", ".join(ascii(name)[1:-1] for name in hidden[:_SHOWN])
        add_warning(answer, f"{count(len(hidden), 'name')} that no registry can have left out: {shown}")
    return answer


def answer_tags(context: RequestContext, repository: str) -> Response:
    """GET /v2/NAME/tags/list: the tags of the images of a repository that the caller may read.

    `latest` is not among them: nothing is published under it. Raises NameUnknownError if there is no image.
    """
    found = context.view.query({"type": IMAGE_TYPE, "name": f"{repository}:*"})
    named = [name_of(node).rpartition(":") for node in found]
    tags = {tag for name, _, tag in named if name == repository and is_tag(tag) and tag != LATEST}
    if not tags:
        raise NameUnknownError(f"there is no image of {repository} that you may read")
    page = _page(context.request, tags)
    return _answer({"name": repository, "tags": page.names}, page)


def add_warning(answer: Response, text: str) -> None:
    """Add a warning that clients show to their users (OCI distribution spec 1.1, "Warnings")."""
    # Clients take no answer with a header of any length, and names on a server are anyone's.
    quoted = shortened(text).replace("\\", "\\\\").replace('"', '\\"')
    answer.headers.add("Warning", f'299 - "{quoted}"')


def _page(request: Request, names: Iterable[str]) -> _Page:
    """Return the names that come after `last`, `n` of them at most."""
    ordered = sorted(names)
    last = request.args.get("last", "")
    rest = [name for name in ordered if name > last] if last else ordered
    asked = request.args.get("n")
    if asked is None:
        return _Page(rest, "")
    if not _NUMBER.fullmatch(asked):
        raise PageInvalidError("n is the number of entries of a page: write digits")
    names = rest[: int(asked)]
    if not names or len(names) == len(rest):
        return _Page(names, "")
    following = urlencode({"last": names[-1], "n": asked})
    return _Page(names, f'<{request.path}?{following}>; rel="next"')


def _answer(document: object, page: _Page) -> Response:
    answer = Response(msgspec.json.encode(document), content_type="application/json")
    # Who may read what may change at any time.
    answer.headers["Cache-Control"] = "no-store"
    if page.link:
        answer.headers["Link"] = page.link
    return answer
