"""Dockerfiles and scripts looked at by our rules of lint."""

from skyport_wf.image.instructions import read_instructions
from skyport_wf.lint.dockerfile import Surroundings, lint_dockerfile, lint_script
from skyport_wf.lint.findings import Finding

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = f"sha256:{COMMIT}{COMMIT[:24]}"
PINNED = f"FROM debian:bookworm@{DIGEST}\n"


def lint(text: str, **given: object) -> list[Finding]:
    return list(lint_dockerfile(read_instructions(text.encode()), Surroundings(**given)))  # type: ignore[arg-type]


def told(text: str, **given: object) -> list[str]:
    """Return line and code of each finding, but for what a pinned Debian has none of."""
    return sorted(f"{found.line} {found.code}" for found in lint(text, **given))


def told_of_run(command: str) -> set[str]:
    """Return the codes of what is found in one RUN, and in the same command as a script."""
    in_dockerfile = {found.code for found in lint(f"{PINNED}RUN {command}\n")}
    in_script = {found.code for found in lint_script(f"#!/bin/sh\nset -e\n{command}\n")}
    assert in_script == in_dockerfile
    return in_dockerfile
