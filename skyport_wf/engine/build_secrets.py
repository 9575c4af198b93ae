"""Build secrets: where BuildKit finds them, and keeping them out of what a build prints."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skyport_wf.errors import UsageError

if TYPE_CHECKING:
    from skyport_wf.image_list.spec import BuildSecret

MASK: Final = "***"
_SHORTEST: Final = 4
"""Characters of a line of a secret that is masked: shorter ones are in every text."""


def secret_options(secrets: Mapping[str, BuildSecret]) -> Iterator[str]:
    """Yield the docker command's options for the secrets: they name where each is, never what it is.

    Raises UsageError if one is not there.
    """
    for name, secret in secrets.items():
        yield from ("--secret", f"id={name},{_place(name, secret)}")


def secret_mask(secrets: Mapping[str, BuildSecret]) -> Callable[[str], str]:
    """Return what replaces the secrets in a text by `***`.

    A script that prints a secret by mistake (`set -x`, a wrong URL) would leave it in a log for good. A secret of
    several lines is masked line by line, as a build prints it.
    """
    lines = {line.strip() for secret in secrets.values() for line in _read(secret).splitlines()}
    words = sorted((line for line in lines if len(line) >= _SHORTEST), key=len, reverse=True)
    if not words:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, words)))
    return lambda text: pattern.sub(MASK, text)


def _place(name: str, secret: BuildSecret) -> str:
    if secret.env:
        if secret.env not in os.environ:
            raise UsageError(f"the variable {secret.env} of the build secret {name!r} is not set")
        return f"env={secret.env}"
    path = Path(secret.file or "")
    if not path.is_file():
        raise UsageError(f"there is no file {path} for the build secret {name!r}")
    return f"src={path}"


def _read(secret: BuildSecret) -> str:
    if secret.env:
        return os.environ.get(secret.env, "")
    try:
        return Path(secret.file or "").read_text(errors="replace")
    except OSError:
        # The build will say so.
        return ""
