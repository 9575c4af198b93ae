"""Each link of the Markdown pages leads to a file of the project, and to a heading that is there."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT

PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *CHECKOUT.glob("examples/*.md"),
     *CHECKOUT.glob("examples/*/*.md")]
)  # fmt: skip
_CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in links_of(page) if not leads_somewhere(page, link)]
    assert not broken, f"{page} has links to what is not there"


def test_each_guide_page_is_in_the_index() -> None:
    guide = CHECKOUT / "docs/guide"
    listed = {link.partition("#")[0] for link in links_of(guide / "README.md")}
    assert {page.name for page in guide.glob("*.md")} - {"README.md"} <= listed


def links_of(page: Path) -> list[str]:
    found = [path or source for path, source in _LINK.findall(_CODE.sub("", page.read_text()))]
    return [link for link in found if not link.startswith(("https://", "http://"))]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and target.is_relative_to(CHECKOUT) and (not anchor or anchor in anchors_of(target))


@cache
def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as web pages of repositories make them of the text."""
    times: Counter[str] = Counter()
    anchors = set()
    for title in re.findall(r"^#+ +(.+)$", re.sub(r"(?ms)^(```+).*?^\1", "", page.read_text()), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{times[anchor]}" if times[anchor] else anchor)
        times[anchor] += 1
    return anchors
