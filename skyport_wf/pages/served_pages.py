"""The served pages, one function for each."""

from __future__ import annotations

from typing import Final

from werkzeug.wrappers import Response

from skyport_wf.errors import ArchiveError, ShockError, UsageError
from skyport_wf.pages.entries import ORDERS, ImageEntry, Order, by_repository, filter_repositories
from skyport_wf.pages.findings import BusyError
from skyport_wf.pages.package_search import SearchResult
from skyport_wf.pages.rendering import (
    LIST_ORDERS,
    PAGE_SIZE,
    STATIC,
    compared_pairs,
    read_static,
    render_list_script,
)
from skyport_wf.pages.sessions import HOURS
from skyport_wf.pages.visit import NotThereError, RefusedError, Visit

_LARGEST_FORM: Final = 64 * 1024
_MOST_USES: Final = 200
"""Packages that a search shows."""


def answer_list(visit: Visit) -> Response:
    """GET /: all images, as many as a page has."""
    query, asked = visit.argument("q"), visit.argument("sort")
    order: Order = next((known for known in ORDERS if known == asked), "name")
    entries = visit.catalogue.entries()
    everything = by_repository(entries, order=order)
    found = filter_repositories(everything, query) if query else everything
    pages = max(-(-len(found) // PAGE_SIZE), 1)
    number = visit.argument("page")
    page = min(max(int(number), 1), pages) if number.isascii() and number.isdigit() else 1
    answer = visit.page(
        "list.html",
        repositories=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
        images=len(entries),
        of_all=len(everything),
        found=len(found),
        query=query,
        order=order,
        orders=LIST_ORDERS.items(),
        page=page,
        pages=pages,
    )
    answer.headers["Vary"] = "Accept, Cookie"
    return answer


def answer_folder(visit: Visit) -> Response:
    """GET /catalogue/: what someone types who cuts an address short."""
    return _see_other(visit.links.home)


def answer_list_script(visit: Visit) -> Response:
    """GET /catalogue/images.js: all images, for the filter."""
    script = render_list_script(by_repository(visit.catalogue.entries()))
    return Response(script, content_type=STATIC["page.js"])


def answer_static(visit: Visit, name: str) -> Response:
    """GET /catalogue/static/NAME: a file that belongs to every page."""
    if name not in STATIC:
        raise NotThereError("There is no such file.")
    answer = Response(read_static(name), content_type=STATIC[name])
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    answer.make_conditional(visit.request)
    return answer


def answer_image(visit: Visit, node: str) -> Response:
    """GET /catalogue/image/NODE: one image."""
    image = visit.catalogue.details(node)
    if image is None:
        raise NotThereError("There is no such image, or you may not read it. If it is private, log in.")
    siblings = _siblings(visit.catalogue.entries(), image.entry)
    return visit.page("image.html", image=image, siblings=siblings, compared=compared_pairs(image.entry, siblings))


def answer_look_inside(visit: Visit, node: str) -> Response:
    """POST /catalogue/image/NODE/read: have an image read, and go back to its page."""
    try:
        found = visit.catalogue.look_inside(node)
    except BusyError as error:
        raise RefusedError(503, str(error)) from error
    except (ArchiveError, ShockError) as error:
        raise RefusedError(502, f"The image cannot be read: {error}") from error
    if found is None:
        raise NotThereError("There is no such image, or you may not read it.")
    return _see_other(f"../{node}#layers")


def answer_comparison(visit: Visit, old: str, new: str) -> Response:
    """GET /catalogue/compare/OLD/NEW: two images side by side."""
    found = visit.catalogue.compare(old, new)
    if found is None:
        raise NotThereError("One of these images is not there, or you may not read it.")
    return visit.page("compare.html", found=found)


def answer_packages(visit: Visit) -> Response:
    """GET /catalogue/packages: the packages in all images, by letter or as they fit a search."""
    query, letter = visit.argument("q"), visit.argument("letter")
    index = visit.catalogue.packages()
    letter = "" if query else letter or next(iter(index.letters), "")
    result, problem = SearchResult(tuple(index.by_letter(letter))), ""
    if query:
        try:
            result = index.search(query)
        except UsageError as error:
            result, problem = SearchResult(()), str(error)
    return visit.page(
        "packages.html",
        uses=result.uses[:_MOST_USES] if query else result.uses,
        found=len(result.uses),
        query=query,
        problem=problem,
        notes=result.notes,
        letters=index.letters,
        letter=letter,
        total=len(index.uses),
        listed=index.listed,
        images=len(visit.catalogue.entries()),
    )


def answer_login_form(visit: Visit) -> Response:
    """GET /catalogue/login: the form for a token."""
    return visit.page("login.html", hours=HOURS, has_passwords=visit.backend.has_passwords, problem="")


def answer_login(visit: Visit) -> Response:
    """POST /catalogue/login: begin a session, if the Shock knows the token."""
    request = visit.request
    if (request.content_length or _LARGEST_FORM + 1) > _LARGEST_FORM:
        raise RefusedError(413, "The form is too large.")
    token = request.form.get("token", "").strip()
    if visit.backend.has_passwords:
        token = f"{request.form.get('user', '').strip()}:{token}"
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        return ask_to_log_in(visit, "That is no token: it has characters that none has, or none at all.")
    if not visit.backend.client(token).may_ask():
        visit.backend.forget(token)
        return ask_to_log_in(visit, "The Shock does not know this token.")
    answer = _see_other(visit.links.home)
    visit.sessions.begin(request, answer, token)
    visit.note_owner(token)
    return answer


def answer_logout(visit: Visit) -> Response:
    """POST /catalogue/logout: end the session."""
    if token := visit.sessions.token(visit.request):
        visit.backend.forget(token)
    answer = _see_other(visit.links.home)
    visit.sessions.end(visit.request, answer)
    return answer


def ask_to_log_in(visit: Visit, problem: str) -> Response:
    """Return the form for a token, and why it is needed."""
    return visit.page("login.html", 403, hours=HOURS, has_passwords=visit.backend.has_passwords, problem=problem)


def _siblings(entries: tuple[ImageEntry, ...], entry: ImageEntry) -> tuple[ImageEntry, ...]:
    """Return the images of the same repository, the newest first."""
    return next((one.images for one in by_repository(e for e in entries if e.repository == entry.repository)), ())


def _see_other(where: str) -> Response:
    # A relative address, which holds behind any proxy.
    answer = Response(status=303, headers={"Location": where})
    answer.autocorrect_location_header = False
    return answer
