"""The form of a manifest that a client takes, by its `Accept` header."""

from werkzeug.datastructures import MIMEAccept

from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.registry.refusals import ManifestUnknownError


def choose_flavour(accepted: MIMEAccept, preferred: Flavour) -> Flavour:
    """Return the form that a client takes; the preferred one if it takes both.

    accepted: the media types of its `Accept` header; a client without one takes anything.
    Raises ManifestUnknownError if it takes neither.
    """
    if not accepted:
        return preferred
    preferred_first = sorted(Flavour, key=lambda flavour: flavour != preferred)
    chosen = max(preferred_first, key=lambda flavour: accepted.quality(flavour.media_type))
    if not accepted.quality(chosen.media_type):
        known = " and ".join(flavour.media_type for flavour in Flavour)
        raise ManifestUnknownError(f"the image has manifests of the types {known}; the Accept header takes neither")
    return chosen
