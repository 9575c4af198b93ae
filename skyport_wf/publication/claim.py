"""One publisher at a time for a name, though Shock has no locks.

A publisher makes a node that claims the name, and then looks who else does: of two, the one that claimed later
sees the other's claim. Alone with its claim it goes on, and nobody else does before the claim is gone. If there
are several, all but the one with the lowest id take theirs back and wait.

A claim that its publisher has left behind is not waited for: at once if its process is known to have ended, else
when nobody has renewed it for a while. Only publishers that may read each other's claims can wait for each other:
the claim of a public image is public.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from skyport_wf.errors import ShockError, TemporaryError
from skyport_wf.publication.attributes import CLAIM_TYPE
from skyport_wf.publication.process_identity import is_dead, mark_process
from skyport_wf.retries import LONG_WAIT, pauses

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_EXPIRATION = "1H"
_LEASE_SECONDS = 60.0
"""How long a claim counts that is not renewed."""
_RENEWAL_SECONDS = 20.0
_LONGEST_RENEWALS = 100
"""Characters of how often a claim says it was renewed that count."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class NameHeldError(TemporaryError):
    """Another publisher holds the name."""


@contextmanager
def claim_name(shock: ShockClient, name: str, *, public: bool, patience: float = 300.0) -> Iterator[Claim]:
    """Hold the name while the block lasts; nobody else registers anything under it meanwhile.

    public: whether the image is to be: then publishers who are other users see the claim.
    patience: seconds to wait for others who hold it.
    Raises NameHeldError if they hold it for longer.
    """
    claim = Claim(shock, name, public=public)
    try:
        claim.wait_for_turn(patience)
        yield claim
    except TemporaryError:
        # Shock does not answer; to ask it for anything more would only take as long again.
        raise
    except BaseException:
        claim.withdraw()
        raise
    else:
        claim.withdraw()


class Claim:
    """One publisher's claim of a name."""

    def __init__(self, shock: ShockClient, name: str, *, public: bool) -> None:
        self._shock = shock
        self._name = name
        self._public = public
        self._mark = {"type": CLAIM_TYPE, "name": name, "by": uuid4().hex, **mark_process()}
        self._nodes: list[str] = []
        """Ours; more than one if the answer to making one was lost, and it was made again."""
        self._renewed = 0.0
        self._renewals = 0
        self._first_seen: dict[tuple[str, str], float] = {}
        self._abandoned: set[str] = set()
        """Claims of others who are gone, which we have removed or may not remove."""

    def wait_for_turn(self, patience: float) -> None:
        """Return when the name is claimed by nobody else. Raises NameHeldError after so many seconds."""
        waited = pauses(patience, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        began, is_told = time.monotonic(), False
        while True:
            others = self._others()
            if not self._nodes and not others:
                self._make()
                others = self._others()
            if self._nodes and not others and self._is_fresh():
                return
            if self._nodes and (not self._is_fresh() or min(others) < min(self._nodes)):
                self.withdraw()
            held = f"{self._name} is being published by someone else (node {min(others, default='gone')} claims it)."
            if not is_told and time.monotonic() - began >= LONG_WAIT:
                is_told = True
                _log.warning("%s Waiting for up to %.0f s until that is done, or found to be given up.", held, patience)
            if not next(waited, 0):
                self.withdraw()
                raise NameHeldError(f"{held} Run the command again later.")

    def renew(self) -> None:
        """Let the claim count on; to be called before each change that only the holder of the name may make.

        Raises TemporaryError if it does not count any more: others may have gone ahead.
        """
        now = time.monotonic()
        silent = now - self._renewed
        lost = TemporaryError(
            f"registering {self._name} was held up for {silent:.0f} s, and someone else may have gone ahead. "
            "Run the command again."
        )
        if silent > _LEASE_SECONDS:
            raise lost
        if silent > _RENEWAL_SECONDS:
            self._renewals += 1
            try:
                for node_id in self._nodes:
                    self._shock.replace_attributes(node_id, {**self._mark, "renewals": self._renewals})
            except ShockError as error:
                # Someone has removed it.
                raise lost from error
            self._renewed = now

    def find_owner(self) -> str:
        """Return the id of the user who holds the name, as Shock knows them; it tells nobody who they are."""
        return self._shock.read_access(self._nodes[0]).owner

    def withdraw(self) -> None:
        """Let others go ahead. A claim that cannot be taken back expires."""
        nodes, self._nodes = self._nodes, []
        try:
            for node_id in nodes:
                self._remove(node_id)
        except (ShockError, TemporaryError) as error:
            _log.warning("the claim of %s stays on %s until it expires: %s", self._name, self._shock.name, error)

    def _make(self) -> None:
        self._renewed = time.monotonic()
        node = self._shock.create_empty(attributes=self._mark, expiration=_EXPIRATION)
        self._nodes = [node.id]
        if not self._is_ours(node):
            # Nobody would ever see whose claim it is, and everyone would wait.
            raise ShockError(
                f"{self._shock.name} does not keep the attributes of nodes, so no image can have a name there"
            )
        if self._public and not self._shock.read_access(node.id).public.read:
            self._shock.set_public(node.id, True)

    def _others(self) -> list[str]:
        """Return the ids of the claims of others that count, and take note of our own."""
        found = self._shock.query({"type": CLAIM_TYPE, "name": self._name})
        if self._nodes:
            self._nodes = [node.id for node in found if self._is_ours(node)] or self._nodes
        others = [node for node in found if not self._is_ours(node)]
        return [node.id for node in others if not self._is_abandoned(node)]

    def _is_ours(self, node: Node) -> bool:
        return (node.attributes or {}).get("by") == self._mark["by"]

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._renewed < _RENEWAL_SECONDS

    def _is_abandoned(self, node: Node) -> bool:
        """Return whether the publisher who made the claim is gone; if so, remove it if we may."""
        mark = node.attributes or {}
        # Of any shape: others may have written it.
        renewals = repr(mark.get("renewals"))[:_LONGEST_RENEWALS]
        seen = self._first_seen.setdefault((node.id, renewals), time.monotonic())
        if not is_dead(mark) and time.monotonic() - seen < _LEASE_SECONDS:
            return False
        if node.id not in self._abandoned:
            self._abandoned.add(node.id)
            _log.info("whoever claimed %s with node %s is gone", self._name, node.id)
            try:
                self._remove(node.id)
            except ShockError as error:
                _log.debug("that claim stays until it expires: %s", error)
        return True

    def _remove(self, node_id: str) -> None:
        try:
            self._shock.delete(node_id)
        except ShockError:
            # A server may let nobody delete what was uploaded without a token, yet change it.
            self._shock.replace_attributes(node_id, {"type": f"{CLAIM_TYPE}-withdrawn"})
