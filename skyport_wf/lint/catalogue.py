"""All our rules by code. The codes of a family share their second digit.

The table in the user guide has the same rules; a test holds it.
"""

import re
from collections.abc import Iterable

from skyport_wf.lint.hadolint import run
from skyport_wf.lint.rules import (
    addresses,
    base_images,
    bash,
    copied_files,
    downloads,
    git_clones,
    line_ends,
    packages,
    refused,
    secrets,
    variables,
    volumes,
)

_ALL = (
    run.UNREAD,
    *base_images.RULES,
    *refused.RULES,
    *packages.RULES,
    *git_clones.RULES,
    *downloads.RULES,
    *bash.RULES,
    *addresses.RULES,
    *volumes.RULES,
    *copied_files.RULES,
    *secrets.RULES,
    *variables.RULES,
    *line_ends.RULES,
)
RULES = tuple(sorted(_ALL, key=lambda rule: rule.code))
CODES = frozenset(rule.code for rule in RULES)
_OF_OTHERS = re.compile(r"DL[134]\d{3}|SC[1-4]\d{3}")
"""hadolint's rules, and ShellCheck's: which of these there are depends on their versions."""
REPLACED = frozenset(code for rule in RULES for code in rule.replaces)
"""hadolint rules whose findings are dropped, as rules of ours find the same."""


def unknown_codes(codes: Iterable[str]) -> list[str]:
    """Return the codes that no rule can have, ours, hadolint's or ShellCheck's."""
    return [code for code in codes if code not in CODES and not _OF_OTHERS.fullmatch(code)]
