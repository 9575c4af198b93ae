"""How a name stands on a Shock: free, with the wanted image, or with others; and what publishing it would do.

`status`, dry runs and publishing itself all take their answer from `decide`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.errors import AlreadyPublishedError, ShockError, SkyportError, TemporaryError
from skyport_wf.publication.awe_problems import AweProblem, find_problems_of_file, in_words
from skyport_wf.publication.published import PublishedNode, advice_to, find_published, not_the_owner
from skyport_wf.publication.thin import base_problem, same_image
from skyport_wf.records.records import BuildRecord
from skyport_wf.records.source import ThinBase
from skyport_wf.retries import LONG_WAIT, pauses, retry_seconds

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)
State = Literal[
    "published", "not published", "unfinished", "other readers", "to be replaced", "name taken", "not allowed",
    "damaged", "broken", "base missing", "unknown",
]  # fmt: skip
_OTHERWISE = "give this image a new tag, or set `replace: true` for it in the image list."
"""Advice where another image has the name."""


class WantedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is to have its name."""

    name: str
    """REPO:TAG."""
    source_digest: str
    """Tells the image; empty if nothing but the id does."""
    image_id: str | None
    """Tells the image, too; None if it is not known yet."""
    thin_on: ThinBase | None
    """The image whose layers its archive leaves out; None for a whole archive."""
    public: bool
    """Whether everyone is to read it."""
    replace: bool
    """Whether another image may lose the name to it."""
    but: str = ""
    """A node that does not count as having the image: it is to be replaced by one that workers can use. It loses the
    name also without `replace`."""
    otherwise: str = _OTHERWISE
    """The advice of a message if another image has the name."""


class NameState(msgspec.Struct, frozen=True):
    """The nodes that have a name."""

    same: PublishedNode | None
    """The one that holds the wanted image; the oldest if there are several."""
    others: tuple[PublishedNode, ...]
    """Those that have to give up the name to it, the oldest first."""
    may_take: bool
    """Whether all others hold the wanted image too, or may be replaced."""


class Decision(msgspec.Struct, frozen=True):
    """The effect that publishing an image would have."""

    state: State
    names: NameState
    refusal: SkyportError | None = None
    """The reason why it would fail; None if it would not."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return self.state == "published"

    @property
    def is_there(self) -> bool:
        """Whether the image has the name for good, though others may be meant to read it."""
        same = self.names.same
        if same is None or same.node.expires or self.names.others:
            return False
        return self.state in ("published", "other readers", "not allowed")

    def require(self) -> Decision:
        """Return the decision. Raises its refusal if it has one."""
        if self.refusal:
            raise self.refusal
        return self


def wanted_image(build: BuildRecord, *, image_id: str | None = None) -> WantedImage:
    """Return what a build record says of the image that is to have its name.

    image_id: its config digest, if it is known; of an archive and an engine's image the source's digest is that.
    """
    return WantedImage(
        name=build.name,
        source_digest=build.source.digest,
        image_id=image_id or build.source.digest,
        thin_on=build.thin_on,
        public=build.shock.public,
        replace=build.replace,
    )


def find_name_state(shock: Shock, wanted: WantedImage, found: Sequence[PublishedNode]) -> NameState:
    """Return how the image's name stands; `found` are the nodes that have it."""
    same = [node for node in found if _holds(shock, node, wanted)]
    others = [node for node in found if node not in same]
    may_take = wanted.replace or all(node.id == wanted.but for node in others)
    return NameState(same[0] if same else None, (*others, *same[1:]), may_take)


def _holds(shock: Shock, node: PublishedNode, wanted: WantedImage) -> bool:
    """Return whether a node has the image of this source; or of this id, and as whole or thin as is wanted."""
    known, base = node.attributes.skyport_wf, node.attributes.thin_on
    if node.id == wanted.but or (wanted.replace and _fatal_problems(shock, node)):
        return False
    if known is not None and known.source.digest == wanted.source_digest:
        return True
    as_thin = (base.name if base else "") == (wanted.thin_on.name if wanted.thin_on else "")
    if not (node.attributes.id and wanted.image_id) or not as_thin:
        return False
    return same_image(node.attributes.id, wanted.image_id)


def _fatal_problems(shock: Shock, node: PublishedNode) -> list[AweProblem]:
    return [problem for problem in find_problems_of_file(shock.user, node.node) if problem.fatal]


def decide(
    shock: Shock, wanted: WantedImage, found: Sequence[PublishedNode] | None = None, *, base_comes: bool = False
) -> Decision:
    """Return what publishing the image would do. Nothing is changed.

    found: the nodes that have the name, if they are known.
    base_comes: whether the base of this thin image is published before it.
    """
    names = find_name_state(shock, wanted, find_published(shock.user, wanted.name) if found is None else found)
    same = names.same
    damaged = next((node for node in names.others if node.damaged), None)
    if not damaged and (shared := _shared(shock, wanted.name, names)):
        return Decision("name taken", names, shared)
    if not (names.may_take or damaged):
        in_the_way = [node for node in names.others if node.id != wanted.but]
        return Decision("name taken", names, _name_taken(shock, wanted, in_the_way))
    # Another user may say of a node what he likes: ours does not make room for one that says it is the same.
    several = (*names.others, *([same] if same and names.others else []))
    theirs = [node for node in several if not shock.may_change(node.id)]
    if damaged and (damaged in theirs or not names.may_take):
        return Decision("damaged", names, _damaged(shock, damaged, ours=damaged not in theirs))
    if theirs:
        return Decision("name taken", names, not_the_owner(shock, wanted.name, theirs[0].id))
    if same and not same.node.file.complete:
        which = "is empty" if same.node.file.is_empty else "is not there"
        advice = advice_to(shock, same.id, f"Retire it (skyport-wf retire {wanted.name}) and publish it again.")
        problem = f"{wanted.name} is published on node {same.id}, whose file {which}. {advice}"
        return Decision("damaged", names, ShockError(problem))
    if same and (problems := _fatal_problems(shock, same)):
        mend = f"`skyport-wf adopt {wanted.name}` mends it"
        who = mend if shock.may_change(same.id) else f"Ask its owner: {mend}"
        problem = f"{wanted.name} is on node {same.id}, but no AWE worker can run it: {in_words(problems)}. {who}."
        return Decision("broken", names, ShockError(problem))
    base = same.attributes.thin_on if same else wanted.thin_on
    if base and (same or not base_comes) and (problem := base_problem(shock, wanted.name, base, public=wanted.public)):
        return Decision("base missing", names, ShockError(problem))
    names = _with_readers(shock, names)
    state = _state(shock, wanted, names)
    refusal = None if state == "published" else _why_not_allowed(shock, wanted, same)
    return Decision("not allowed" if refusal else state, names, refusal)


def decide_now(
    shock: Shock, wanted: WantedImage, found: Sequence[PublishedNode] | None = None, *, base_comes: bool = False
) -> Decision:
    """Return what `decide` does for an image that is to be published now. Raises the refusal if there is one.

    Another user who publishes the very image at this moment is waited for: when he is done, so are we.
    """
    decision = decide(shock, wanted, found, base_comes=base_comes)
    patience = retry_seconds()
    waited = pauses(patience)
    began, is_told = time.monotonic(), False
    while isinstance(decision.refusal, TemporaryError) and next(waited, 0):
        if not is_told and time.monotonic() - began >= LONG_WAIT:
            is_told = True
            _log.warning(
                "%s is being published by another user, or was left unfinished. Waiting for up to %.0f s until that is "
                "done.", wanted.name, patience,
            )  # fmt: skip
        decision = decide(shock, wanted, base_comes=base_comes)
    return decision.require()


def _with_readers(shock: Shock, names: NameState) -> NameState:
    """Return the state with who may read the node that has the image, where it depends on that what there is to do."""
    same = names.same
    if same is None or names.others or same.node.expires or same.public is not None:
        return names
    known = msgspec.structs.replace(same, public=shock.everyone_reads(same.id))
    return msgspec.structs.replace(names, same=known)


def _state(shock: Shock, wanted: WantedImage, names: NameState) -> State:
    if names.others:
        return "to be replaced"
    if names.same is None:
        return "not published"
    if names.same.node.expires:
        return "unfinished"
    # Who may not change the readers takes the image as it is: he may read it, as he has found it.
    differs = names.same.public != wanted.public
    return "other readers" if differs and shock.may_change(names.same.id) else "published"


def _why_not_allowed(shock: Shock, wanted: WantedImage, same: PublishedNode | None) -> SkyportError | None:
    """Return why what has to be written could not be; None if nothing is known against it."""
    name = wanted.name
    if same and not shock.may_change(same.id):
        return TemporaryError(
            f"{name} is being published by another user (node {same.id}), or was left unfinished and expires. Run the "
            "command again later."
        )
    if reason := shock.why_not_changed():
        return reason
    if shock.is_known_user:
        if wanted.public:
            return _why_not_found(shock)
        access = shock.user.find_access(same.id) if same else None
        is_nobodys = access is not None and access.owner == "public" and access.public.read
        return nobodys(name, retire_first(name)) if is_nobodys else None
    if not wanted.public:
        return SkyportError(
            f"{name} cannot be private without a token: nobody would own it, and everyone could read it. Put a token "
            f"into {shock.token_from}."
        )
    if "write" not in shock.anonymous_rights:
        return ShockError(
            f"{name} cannot be published: {shock.name} takes nothing from users without a token. Put a token into "
            f"{shock.token_from}."
        )
    return None


def _why_not_found(shock: Shock) -> ShockError | None:
    """Return why it cannot be told what a worker without a token would find; None if it can."""
    try:
        shock.as_worker(public=True)
    except ShockError as error:
        return error
    return None


def nobodys(name: str, anew: str) -> SkyportError:
    """Return the error for an image that is to be private, and nobody owns.

    anew: how to publish it with a token.
    """
    # Shock lets nobody but the owner close a node (and answers 401).
    return SkyportError(f"{name} cannot be private: it was uploaded without a token, so it is nobody's. {anew}")


def retire_first(name: str) -> str:
    """Return the advice for a node that has a name, and that nobody owns."""
    return f"Retire it (skyport-wf retire {name}) and publish it again, with your token."


def _damaged(shock: Shock, node: PublishedNode, *, ours: bool) -> ShockError:
    name = node.attributes.name
    advice = (
        f"Retire it: `skyport-wf retire --node {node.id}`."
        if ours
        else f"It is another user's: ask its owner, or an administrator of {shock.name}, to delete it, or give this "
        "image a new tag."
    )
    return ShockError(
        f"node {node.id} says it is the Docker image {name}, but its attributes are damaged, and AWE workers fail on "
        f"that name. {advice}"
    )


def _shared(shock: Shock, name: str, names: NameState) -> AlreadyPublishedError | None:
    """Return the error for a name that both nodes of this user's and of others have; None if it is another's alone."""
    found = (*([names.same] if names.same else []), *names.others)
    if len(found) < 2 or not shock.is_known_user:
        return None
    ours = [node.id for node in found if shock.may_change(node.id)]
    theirs = [node.id for node in found if node.id not in ours]
    if not (ours and theirs):
        return None
    advice = " and ".join(f"`skyport-wf retire {name} --node {node}`" for node in ours)
    return AlreadyPublishedError(
        f"{len(found)} nodes have the name {name}, and AWE workers take exactly one: {', '.join(ours)}, which you may "
        f"retire ({advice}), and {', '.join(theirs)} of another user, whom you may ask to."
    )


def _name_taken(shock: Shock, wanted: WantedImage, others: Sequence[PublishedNode]) -> AlreadyPublishedError:
    wanted_base = wanted.thin_on.name if wanted.thin_on else ""
    nodes = []
    for node in others:
        base = node.attributes.thin_on
        # What else tells two publications of one image apart.
        thinness = f", thin, built on {base.name}" if base else ", whole" if wanted_base else ""
        nodes.append(f"node {node.id} with image {node.attributes.id}{thinness}")
    known = others[0].attributes.skyport_wf
    when = f", registered {known.registered}" if known else ""
    otherwise = wanted.otherwise
    if not all(shock.may_change(node.id) for node in others):
        # It is no use to advise what would be refused.
        otherwise = "another user has published it: give this image a new tag, or ask the owner."
    return AlreadyPublishedError(
        f"{wanted.name} is published already, as another image ({', '.join(nodes)}{when}). A published name stays "
        f"what it is: {otherwise}"
    )
