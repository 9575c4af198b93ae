"""The form of a manifest that a client takes, by its `Accept` header."""

from werkzeug.http import parse_options_header

from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.registry.refusals import ManifestUnknownError

_ANY = ("application/*", "*/*", "*")
"""The ranges of media types that manifests are in, the narrowest first; Java's clients write the last."""


def choose_flavour(accept: str, preferred: Flavour) -> Flavour:
    """Return the form that a client takes; the preferred one if it takes both.

    accept: its `Accept` header; a client without one takes anything.
    Raises ManifestUnknownError if it takes neither.
    """
    accepted = dict(map(_read_range, filter(str.strip, accept.split(","))))
    if not accepted:
        return preferred

    def quality(flavour: Flavour) -> float:
        return next((accepted[known] for known in (flavour.media_type, *_ANY) if known in accepted), 0)

    chosen = max(sorted(Flavour, key=lambda flavour: flavour != preferred), key=quality)
    if not quality(chosen):
        known = " and ".join(flavour.media_type for flavour in Flavour)
        raise ManifestUnknownError(f"the image has manifests of the types {known}; the Accept header takes neither")
    return chosen


def _read_range(text: str) -> tuple[str, float]:
    """Return one of the media types of a header, and how much it is wanted; other parameters mean nothing here."""
    media_type, parameters = parse_options_header(text)
    try:
        quality = float(parameters.get("q", 1))
    except ValueError:
        quality = 1
    return media_type.lower(), quality if 0 <= quality <= 1 else 1
