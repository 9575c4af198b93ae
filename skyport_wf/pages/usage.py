"""How an image is used: lines to copy for each of the programs that run images."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from skyport_wf.records.receipt import Receipt

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:?=&%+-]*[A-Za-z0-9]")
"""A text that YAML takes for itself, also with the colons of names and addresses."""


class Snippet(msgspec.Struct, frozen=True):
    """Lines to copy."""

    key: str
    """A word for the element's id."""
    title: str
    text: str
    note: str = ""
    """A condition, in a sentence."""


def usage_of(receipt: Receipt, *, registry: str | None) -> Iterator[Snippet]:
    """Yield how a published image is used.

    registry: host and port of a registry that has it, without which no `docker pull` is told.
    """
    name, private = receipt.name, receipt.readable_by != "everyone"
    login = "It is private: log in with your Shock token as password, `docker login` and the registry's address."
    if registry:
        pulled = shlex.quote(f"{registry}/{name}")
        yield Snippet("docker", "docker, podman", f"docker pull {pulled}", login if private else "")
    elif not receipt.thin_on:
        token = '-H "Authorization: OAuth $KB_AUTH_TOKEN" ' if private else ""
        yield Snippet("docker", "docker, podman", f"curl -fsS {token}{shlex.quote(receipt.download_url)} | docker load")
    yield Snippet("skyport", "skyport-wf", f"skyport-wf pull {shlex.quote(name)}")
    if registry:
        address = f"docker://{registry}/{name}"
        yield Snippet("snakemake", "Snakemake", f"container: {_json(address)}")
        yield Snippet("apptainer", "Apptainer", f"apptainer pull {shlex.quote(address)}", login if private else "")
    else:
        yield Snippet(
            "snakemake",
            "Snakemake",
            f"input:\n    skyport_wf.sif({_json(name)}),\ncontainer: skyport_wf.container({_json(name)})",
            "With the image in your pipeline's lock file, where `skyport-wf receipt` puts it.",
        )
    yield Snippet(
        "cwl",
        "CWL",
        f"requirements:\n  DockerRequirement:\n{_cwl(receipt)}",
        "The archive is thin: pull the image into the runner's engine first." if receipt.thin_on else "",
    )
    yield Snippet("awe", "AWE", f'"Dockerimage": {_json(receipt.use.awe["Dockerimage"])}')


def _cwl(receipt: Receipt) -> str:
    requirement = msgspec.to_builtins(receipt.use.cwl["DockerRequirement"])
    return "\n".join(f"    {key}: {_yaml(value)}" for key, value in sorted(requirement.items(), reverse=True))


def _yaml(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else _json(value)


def _json(value: str) -> str:
    return msgspec.json.encode(value).decode()
