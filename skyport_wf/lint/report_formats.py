"""Findings as other programs read them: SARIF for code scanning, and the commands of GitHub's workflows."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote

from skyport_wf import __version__
from skyport_wf.formatting import unicode_text

_LEVELS: Final = {"error": "error", "failure": "error", "warning": "warning", "loss": "warning"}
"""SARIF and GitHub have the same words for these; the milder ones are notes there and notices here."""


class Reported(NamedTuple):
    """A finding of any kind of file."""

    file: str
    line: int
    rule: str
    level: str
    """In the words of `lint`."""
    message: str
    instead: str | None = None

    @property
    def text(self) -> str:
        """All that is said."""
        return f"{self.message}. Instead: {self.instead}" if self.instead else self.message


def as_sarif(findings: Iterable[Reported]) -> str:
    """Return the findings as one SARIF 2.1.0 document. Source: SARIF 2.1.0, OASIS Standard, section 3."""
    found = list(findings)
    rules = sorted({one.rule for one in found})
    results = [
        {
            "ruleId": one.rule,
            "ruleIndex": rules.index(one.rule),
            "level": _LEVELS.get(one.level, "note"),
            "message": {"text": unicode_text(one.text)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(one.file)},
                        "region": {"startLine": max(1, one.line)},
                    }
                }
            ],
        }
        for one in found
    ]
    driver = {"name": "skyport-wf", "version": __version__, "rules": [{"id": rule} for rule in rules]}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }
    # Words of others are in it, and it may come to a terminal.
    return json.dumps(document, indent=2, ensure_ascii=True)


def _uri(file: str) -> str:
    """Return the address of a file. One stays as it is, and a path has to be one relative to the repository."""
    return quote(file, safe="/:#@?=&%" if "://" in file else "/", errors="surrogateescape")


def as_github(findings: Iterable[Reported]) -> str:
    """Return the findings as commands that GitHub shows beside the lines of a pull request.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the escapes are those of its toolkit.
    """
    return "\n".join(
        f"::{_LEVELS.get(one.level, 'notice')} "
        f"file={_property(one.file)},line={one.line},title={_property(one.rule)}::{_data(one.text)}"
        for one in findings
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
