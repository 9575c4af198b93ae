"""Records and node attributes of version 1, as values of today.

Version 1 had the facts of a source side by side with everything else; since version 2 they are one value.
"""

from collections.abc import Mapping
from typing import Any

_FACTS = ("dockerfile_digest", "context_digest", "script", "container", "dockerfile_url", "git")


def nest_source(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a receipt, or what a node says beyond AWE's attributes, with the facts of its source as one value."""
    if not isinstance(flat.get("source"), str):
        # Unknown, of an image that another tool published; or nested already.
        return dict(flat)
    facts = {name: flat.get(name) for name in _FACTS}
    rest = {key: value for key, value in flat.items() if key not in (*_FACTS, "source_digest")}
    return {**rest, "source": {"kind": flat["source"], "digest": flat.get("source_digest"), **facts}}


def upgrade_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of version 1 as one of version 2; any other document as it is."""
    match record.get("record"):
        case "skyport-wf receipt 1":
            return {**nest_source(record), "record": "skyport-wf receipt 2"}
        case "skyport-wf build 1":
            upgraded = {**record, "record": "skyport-wf build 2"}
            if isinstance(source := record.get("source"), Mapping):
                upgraded["source"] = {key: value for key, value in source.items() if key != "dockerfile"}
                upgraded["dockerfile"] = source.get("dockerfile", "")
            return upgraded
        case "skyport-wf save 1" | "skyport-wf upload 1" as kind:
            build = record.get("build")
            build = upgrade_record(build) if isinstance(build, Mapping) else build
            return {**record, "record": kind.replace(" 1", " 2"), "build": build}
    return dict(record)
