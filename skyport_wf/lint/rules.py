"""Our rules: what each is called and how bad a breach is. Why, and what to write instead, stands where it is found.

The codes of a family share their second digit. The table in the user guide has the same rules; a test holds it.
"""

import msgspec

from skyport_wf.lint.findings import Finding, Level


class Rule(msgspec.Struct, frozen=True):
    """A rule of ours."""

    code: str
    level: Level
    stands_for: tuple[str, ...] = ()
    """Rules of hadolint's that find the same and know less of it; theirs are not told."""

    def at(self, line: int, message: str, instead: str) -> Finding:
        """Return a finding of this rule."""
        return Finding(line, self.code, self.level, message, instead, stands_for=self.stands_for)


UNREAD = Rule("SKY000", "error")
BASE_UNPINNED = Rule("SKY001", "warning", ("DL3006", "DL3007"))
BASE_BY_TAG = Rule("SKY002", "info")
APT_UNPINNED = Rule("SKY011", "warning", ("DL3008",))
APT_UNSEEN = Rule("SKY012", "info", ("DL3008",))
CONDA_UNPINNED = Rule("SKY013", "warning")
GIT_UNPINNED = Rule("SKY021", "warning")
GIT_BY_NAME = Rule("SKY022", "info")
PIPED_TO_SHELL = Rule("SKY031", "warning")
ADD_UNCHECKED = Rule("SKY032", "warning")
DOWNLOAD_UNCHECKED = Rule("SKY033", "info")
BASH_UNLIKELY = Rule("SKY041", "warning")
NO_BASH = Rule("SKY042", "error")
SOURCE_BY_NAME = Rule("SKY051", "warning")
SOURCE_PLAIN_HTTP = Rule("SKY052", "info")

RULES = (
    UNREAD, BASE_UNPINNED, BASE_BY_TAG, APT_UNPINNED, APT_UNSEEN, CONDA_UNPINNED, GIT_UNPINNED, GIT_BY_NAME,
    PIPED_TO_SHELL, ADD_UNCHECKED, DOWNLOAD_UNCHECKED, BASH_UNLIKELY, NO_BASH, SOURCE_BY_NAME, SOURCE_PLAIN_HTTP,
)  # fmt: skip
TOLD_BY_US = frozenset(code for rule in RULES for code in rule.stands_for)
"""The rules of hadolint's whose findings are left out."""
ABOUT_BASH = frozenset({BASH_UNLIKELY.code, NO_BASH.code})
"""The rules that looking into the image itself answers for sure."""
