"""All our rules by code. The codes of a family share their second digit.

The table in the user guide has the same rules; a test holds it.
"""

from skyport_wf.lint.hadolint import run
from skyport_wf.lint.rules import addresses, base_images, bash, downloads, git_clones, packages

RULES = (
    run.UNREAD,
    *base_images.RULES,
    *packages.RULES,
    *git_clones.RULES,
    *downloads.RULES,
    *bash.RULES,
    *addresses.RULES,
)
REPLACED = frozenset(code for rule in RULES for code in rule.replaces)
"""hadolint rules whose findings are dropped, as rules of ours find the same."""
