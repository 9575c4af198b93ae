"""Mistakes in a Snakefile, which have to be heard."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import terminal_text
from skyport_wf.near_words import near_words

_log = logging.getLogger(__name__)


def suggest(name: str, names: Sequence[str]) -> str:
    """Return a question that ends with a space, whether the nearest of these names is meant; empty if none is near."""
    near = near_words(name, names)
    return f"Did you mean {near[0]}? " if near else ""


@contextmanager
def heard() -> Iterator[None]:
    """Say what is wrong in the block on stderr if Snakemake will not: with `--quiet all`, it hides all errors."""
    try:
        yield
    except (SkyportError, ValueError) as error:
        if _is_snakemake_silent():
            _log.error("skyport-wf: %s", terminal_text(str(error)))
        raise


def _is_snakemake_silent() -> bool:
    """Return whether Snakemake runs, and shows no errors: a dry run shows them, however quiet it is."""
    snakemake = logging.getLogger("snakemake.logging")
    error = snakemake.makeRecord(snakemake.name, logging.ERROR, "", 0, "", (), None)
    terminal = [handler for handler in snakemake.handlers if isinstance(handler, logging.StreamHandler)]
    return bool(terminal) and not any(handler.filter(error) for handler in terminal)
