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
GUIDE = CHECKOUT / "docs/guide"
WORDS = ("node", "ACL", "receipt", "KEY", "thin", "lock file", "image id", "diff id", "docker archive", "source digest")
"""Words of our own. A page says each when it first comes, or leads to the glossary."""
OTHERWISE_MEANT = {"clusters.md": {"node"}, "linting.md": {"lock file"}}
_CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in links_of(page) if not leads_somewhere(page, link)]
    assert not broken, f"{page} has links to what is not there"


def test_each_guide_page_is_in_the_index() -> None:
    listed = {link.partition("#")[0] for link in links_of(GUIDE / "README.md")}
    assert {page.name for page in GUIDE.glob("*.md")} - {"README.md"} <= listed


@pytest.mark.parametrize("page", sorted({*GUIDE.glob("*.md")} - {GUIDE / "README.md", GUIDE / "glossary.md"}))
def test_each_word_of_our_own_is_linked_where_it_comes_first(page: Path) -> None:
    prose = re.sub(r"^#.*$", "", _CODE.sub("", page.read_text()), flags=re.MULTILINE)
    linked = [match.span() for match in re.finditer(r"\[[^\]]*\]\([^)]*\)|\*+[^*\n]+\*+", prose)]
    unlinked = []
    for word in WORDS:
        first = re.search(rf"(?<![\w/.-]){word}s?(?![\w-]|\.\w)", prose)
        if first and not any(begin <= first.start() < end for begin, end in linked):
            unlinked.append(word)
    assert set(unlinked) <= OTHERWISE_MEANT.get(page.name, set()), f"{page.name}: link these to the glossary"


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
