"""How an image is used: lines to copy for each of the programs that run images."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.formatting import printable

if TYPE_CHECKING:
    from skyport_wf.records.receipt import Receipt


class Snippet(msgspec.Struct, frozen=True):
    """Lines to copy."""

    key: str
    """A word for the element's id."""
    title: str
    text: str
    note: str = ""
    """A condition, in a sentence."""


def usage_of(receipt: Receipt, *, registry: str) -> Iterator[Snippet]:
    """Yield how a published image is used.

    registry: host and port of the registry that has it; empty if there is none.
    """
    name, private, pinned = receipt.name, receipt.readable_by != "everyone", receipt.use.oci
    login = "It is private: first `docker login` at the registry, with your Shock token as password." if private else ""
    if registry:
        yield Snippet("docker", "docker, podman", f"docker pull {shlex.quote(f'{registry}/{name}')}", login)
    elif not receipt.thin_on:
        token = '-H "Authorization: OAuth $KB_AUTH_TOKEN" ' if private else ""
        yield Snippet("docker", "docker, podman", f"curl -fsS {token}{shlex.quote(receipt.download_url)} | docker load")
    yield Snippet("skyport", "skyport-wf", f"skyport-wf pull {shlex.quote(name)}")
    if registry:
        yield Snippet("apptainer", "Apptainer", f"apptainer pull {shlex.quote(f'docker://{registry}/{name}')}", login)
    first = ""
    if receipt.thin_on:
        base = f"skyport-wf pull {shlex.quote(printable(receipt.thin_on.name))}"
        first = f"The archive is thin: load its base into each worker's engine first, with `{base}`."
    yield Snippet("awe", "AWE", f'"Dockerimage": {_json(receipt.use.awe["Dockerimage"])}', first)
    if pinned:
        yield Snippet("snakemake", "Snakemake", f"container:\n    {_json(f'docker://{pinned}')}", login)
    else:
        yield Snippet(
            "snakemake",
            "Snakemake",
            f"input:\n    skyport_wf.sif({_json(name)}),\ncontainer:\n    skyport_wf.container({_json(name)})",
            "With the image in your pipeline's lock file, where `skyport-wf receipt` puts it.",
        )
    thin, secret = "The archive is thin", "It is private, and cwltool and toil send no token"
    why = thin if receipt.thin_on else secret if private else ""
    first = f"{why}: pull the image into the runner's engine first." if why else ""
    yield Snippet("cwl", "CWL", _cwl(receipt.use.cwl), first)
    if receipt.use.cwl_pull:
        yield Snippet("cwl-pull", "CWL, from the registry", _cwl(receipt.use.cwl_pull), login)


def _cwl(use: Mapping[Literal["DockerRequirement"], object]) -> str:
    import yaml

    fields = dict(sorted(msgspec.to_builtins(use["DockerRequirement"]).items(), reverse=True))
    # An address is one line, however long it is.
    document = yaml.safe_dump({"requirements": {"DockerRequirement": fields}}, sort_keys=False, width=10_000)
    return str(document).rstrip()


def _json(value: str) -> str:
    return msgspec.json.encode(value).decode()
