"""Nodes that an AWE worker would find and not be able to run: as docker2shock.pl left them, or damaged.

Source: AWE's worker code of 2019, see awe_lookup.py; a worker compares the attribute `id` byte for byte with what its
engine calls the image, which since Docker 1.10 begins with `sha256:`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import AlteredError, ShockError, UsageError
from skyport_wf.formatting import printable, shortened
from skyport_wf.image_list.reference import LATEST, parse_reference
from skyport_wf.publication.attributes import OWN_KEY

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_HEX = re.compile(r"[0-9a-f]{64}")
_GZIP = b"\x1f\x8b"


class AweProblem(msgspec.Struct, frozen=True):
    """A problem of a node, and what an AWE worker does about it."""

    text: str
    fatal: bool
    """Whether no work unit that names the image can run; if not, it can as long as the image is there, and only who
    asks for its repository may not get it."""
    lost: bool = False
    """Whether the file cannot be read: nothing that is written on the node mends that."""


def find_problems(node: Node) -> list[AweProblem]:
    """Return what is wrong with the node of a published image, as far as its attributes tell."""
    return [
        *(AweProblem(text, True) for text in _fatal(node)),
        *(AweProblem(text, False) for text in _of_latest(node)),
        *([AweProblem(expiry(node), False)] if node.expires else []),
    ]


def expiry(node: Node) -> str:
    """Return what becomes of the image on a node that expires."""
    return f"the server deletes it at {printable(node.expiration)}"


def find_problems_of_file(shock: ShockClient, node: Node, *, read: bool = False) -> list[AweProblem]:
    """Return what `find_problems` does, and whether a worker can unpack the file.

    read: whether it can fetch it, too, also where this package has published it.
    """
    found = find_problems(node)
    if not node.file.complete:
        return found
    try:
        if not is_gzip(shock, node):
            found.append(AweProblem("its file is not gzip, so that a worker crashes when it loads it", True))
        elif read and (why := why_unreadable(shock, node)):
            found.append(AweProblem(f"its file cannot be read: {why}", True, lost=True))
    except ShockError as error:
        lost = not isinstance(error, AlteredError)
        found.append(AweProblem(f"its file cannot be read: {str(error).rstrip('.')}", True, lost=lost))
    return found


def why_unreadable(shock: ShockClient, node: Node) -> str:
    """Return why the node's file cannot be read, of which one byte is asked for; empty if it can.

    Of a file that something in front of the server alters nothing is known.
    """
    try:
        shock.read_start(node, 1)
    except AlteredError:
        return ""
    except ShockError as error:
        return str(error).rstrip(".")
    return ""


def is_gzip(shock: ShockClient, node: Node) -> bool:
    """Return whether the node's file is gzip: of nodes that other tools made, its first bytes are fetched."""
    # This package publishes nothing else.
    ours = bool((node.attributes or {}).get(OWN_KEY))
    return ours or shock.read_start(node, len(_GZIP)) == _GZIP


def file_problem(node: Node) -> str:
    """Return what is wrong with the node's file where no image can be in it, which nothing mends; else empty."""
    if node.file.complete:
        return ""
    if node.file.is_empty:
        return "its file is empty, so that a worker crashes when it loads it"
    return "it has no file, or one that is not complete, so that a worker's download fails"


def require_file(node: Node) -> None:
    """Raise ShockError if no image can be in the node's file."""
    if problem := file_problem(node):
        raise ShockError(f"{node.text('name')} is on node {node.id}, but {problem}. {how_to_mend(node)} mends it.")


def how_to_mend(node: Node, problems: Sequence[AweProblem] = ()) -> str:
    """Return the command that mends the image of a node; a name that cannot stay is to become another.

    problems: what is wrong with it, where its file was looked at.
    """
    if not node.file.complete or any(problem.lost for problem in problems):
        return f"`skyport-wf retire --node {node.id}`, and publishing it again,"
    name = node.text("name")
    if not name.isprintable() or shortened(name) != name:
        return f"`skyport-wf retire --node {node.id}`, and publishing it under another name,"
    try:
        parse_reference(name)
    except UsageError:
        # Whoever made the node chose the name, and others may paste the command into a shell.
        return f"`skyport-wf adopt {shlex.quote(name)} --as REPO:TAG`"
    return f"`skyport-wf adopt {name}`"


def in_words(problems: list[AweProblem]) -> str:
    """Return the problems as one text."""
    return "; ".join(problem.text for problem in problems)


def _fatal(node: Node) -> Iterator[str]:
    name, image_id = node.text("name"), node.text("id")
    if problem := file_problem(node):
        yield problem
    told = node.attributes or {}
    if odd := next((key for key in ("type", "name") if isinstance(told.get(key), list)), ""):
        yield f"its attribute `{odd}` is a list: a worker's query finds it by each element, but it is no image"
    elif reason := _unusable_name(name):
        yield reason
    if not image_id:
        yield "its attribute `id` is missing, on which a worker's work unit fails"
    elif _HEX.fullmatch(image_id):
        yield (
            "its `id` lacks `sha256:`, so that a worker's engine never has it: each work unit downloads the image, and "
            "fails"
        )
    elif not _HEX.fullmatch(image_id.removeprefix("sha256:")):
        yield "its `id` is none that an engine has, so that each work unit downloads the image, and fails"


def _unusable_name(name: str) -> str:
    """Return why no worker asks for the name, or can use it; an empty text if one can."""
    if not name:
        return "it has no name, so that nobody finds it"
    _, colon, tag = name.partition(":")
    if ":" in tag:
        return "its name has more than one colon, on which a worker's work unit fails"
    if not colon or tag in ("", LATEST):
        which = f"the tag `{shortened(tag)}`" if tag else "no tag"
        return f"its name has {which}: who asks for that gets the highest tag of the repository, never this name"
    try:
        parse_reference(name)
    except UsageError as error:
        return f"a worker loads it and cannot tag it: {str(error).partition('. Write it as')[0]}"
    return ""


def _of_latest(node: Node) -> Iterator[str]:
    """Yield what is wrong with it for those who ask for the highest tag of its repository."""
    name, repository, tag = (node.text(key) for key in ("name", "repository", "tag"))
    told = shortened(f"{repository}:{tag}")
    if not repository:
        yield "its attribute `repository` is missing, so that who asks for its repository does not get it"
    elif not tag:
        yield f"its attribute `tag` is missing, on which every work unit that asks for `{shortened(repository)}` fails"
    elif f"{repository}:{tag}" != name and not _unusable_name(name):
        yield f"its attributes `repository` and `tag` say {told}, and who asks for that repository gets it"
