"""The network for what runs while an image is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.podman import podman_version

if TYPE_CHECKING:
    from docker import APIClient


def default_network(client: APIClient) -> str | None:
    """Return the network for builds and scripts, None for the engine's own choice.

    An engine without a bridge has no network to give but the host's; `apt-get install` needs one. Podman's builds have
    the host's, so its scripts do, too: what it gives containers else needs programs that it may lack.
    """
    return None if has_bridge(client) and not podman_version(client) else "host"


def has_bridge(client: APIClient) -> bool:
    """Return whether the engine can give containers a network of their own."""
    with engine_errors("listing its networks"):
        return any(network["Driver"] == "bridge" for network in client.networks())
