"""The guide has every rule, with its level."""

import re

from skyport_wf.lint.catalogue import REPLACED, RULES
from skyport_wf.lint.findings import THRESHOLDS
from tests.support.commands import CHECKOUT

GUIDE = (CHECKOUT / "docs/guide/linting.md").read_text()


def test_the_guide_has_every_rule_with_its_level():
    rows = re.findall(r"^\| `(SKY\d+)` \| (\w+) \|", GUIDE, re.MULTILINE)
    assert rows == [(rule.code, rule.level) for rule in RULES]


def test_the_guide_says_which_of_hadolints_rules_are_told_by_ours():
    assert all(code in GUIDE for code in REPLACED)


def test_the_guide_has_every_level():
    assert all(f"`{level}`" in GUIDE for level in THRESHOLDS)
