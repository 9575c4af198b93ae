import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.lint.findings import Finding
from skyport_wf.lint.fix import FIXABLE, fix_dockerfile

VERSIONS = {"git": "1:2.39.5-0+deb12u2", "curl": "7.88.1-10", "libc6": "2.36-9"}
CLEAN = "rm -rf /var/lib/apt/lists/*"


def fixed(text: str, *codes: str, versions: dict[str, str] = VERSIONS) -> str:
    """Return the text with findings of these codes, or of all, mended on every line."""
    lines = text.count("\n") + 1
    findings = [Finding(line, code, "warning", "") for line in range(1, lines + 1) for code in codes or FIXABLE]
    return fix_dockerfile(text.encode(), findings, dict.fromkeys(range(1, lines + 1), versions)).decode()


def test_everything_at_once_and_nothing_else():
    before = (
        "# syntax=docker/dockerfile:1\n"
        "FROM  debian:12   # as it is\n"
        "\n"
        "RUN apt-get update \\\n"
        "    # why\n"
        " && apt-get install -y \\\n"
        "      git curl=7.88.1-10 \\\n"
        "      unknown\n"
        "COPY . /git curl\n"
        "\tRUN echo apt-get install git"
    )
    assert fixed(before) == before.replace("install -y", "install --no-install-recommends -y").replace(
        "git curl=", f"git={VERSIONS['git']} curl="
    ).replace("      unknown\n", f"      unknown \\\n      && {CLEAN}\n")


@pytest.mark.parametrize(
    ("run", "after"),
    [
        ("apt-get update && apt-get install -y git", f"apt-get update && apt-get install -y git && {CLEAN}"),
        ("apt-get update; apt-get install git  ", f"apt-get update; apt-get install git && {CLEAN}  "),
        ("(apt-get update && apt-get install git)", f"(apt-get update && apt-get install git) && {CLEAN}"),
    ],
)
def test_lists_are_removed_at_the_end(run, after):
    assert fixed(f"FROM a:1\nRUN {run}\n", "DL3009") == f"FROM a:1\nRUN {after}\n"


@pytest.mark.parametrize(
    "text",
    [
        # In another form, or where the end is no end of a command.
        'RUN ["apt-get", "install", "git"]',
        "RUN <<EOF\napt-get update\napt-get install git\nEOF",
        "RUN apt-get update && apt-get install git # not here",
        "RUN apt-get update && apt-get install git;",
        "RUN apt-get update && apt-get install git &",
        "RUN apt-get update && apt-get install git \\\n# a comment",
        # Nothing runs behind these.
        "RUN apt-get update && apt-get install git && exit 0",
        "RUN apt-get update && apt-get install git && exec true",
        "RUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install git",
        # The next one lives on these lists.
        "RUN apt-get update && apt-get install git\nRUN apt-get install curl && apt-get update",
    ],
)
def test_where_it_is_not_safe_the_lists_stay(text):
    assert fixed(f"FROM a:1\n{text}\n", "DL3009").splitlines()[1] == text.splitlines()[0]


@pytest.mark.parametrize(
    "later",
    [
        "RUN timeout 60 apt-get install -y hello",
        "RUN timeout -k 5 60 apt-get -y upgrade",
        "RUN apt-get -y build-dep hello",
        "RUN apt-get -o Dpkg::Use-Pty=0 build-dep hello",
        "RUN cd /tmp && apt-get download hello",
        "RUN apt-get source hello",
        "RUN apt-get upgrade -y",
        "RUN apt-cache show hello",
        "RUN /usr/bin/apt reinstall hello",
        'RUN ["apt-get", "install", "hello"]',
        "RUN <<EOF\nset -e\napt-get install hello\nEOF",
        "RUN su -c 'apt-get clean' && su -c 'apt-get install hello'",
        "RUN a-tool-of-ours apt-get install hello",
        "RUN echo 'as after apt-get update' && apt-get install hello",
        "ONBUILD RUN apt-get install -y x",
        "onbuild run timeout 5 apt-get install -y x",
    ],
)
def test_whatever_uses_the_lists_later_keeps_them(later):
    text = f"FROM a:1\nRUN apt-get update && apt-get install git\nENV A=b\n{later}\n"
    assert fixed(text, "DL3009").splitlines()[1] == "RUN apt-get update && apt-get install git"


@pytest.mark.parametrize(
    "later",
    [
        "RUN apt-get purge -y git && apt-get -y autoremove && apt-get clean",
        "RUN apt-get remove install",
        "RUN apt-get -y -o A=b purge git",
        "RUN sh -c 'apt-get update && apt-get install hello'",
        "ONBUILD RUN apt-get update && apt-get install -y x",
        "RUN which apt-get && ls /etc/apt",
        "LABEL how='apt-get install git'",
        "ONBUILD LABEL how='apt-get install git'",
    ],
)
def test_what_needs_no_lists_does_not_keep_them(later):
    text = f"FROM a:1\nRUN apt-get update && apt-get install git\n{later}\n"
    assert fixed(text, "DL3009").splitlines()[1].endswith(CLEAN)


def test_an_instruction_with_an_update_of_its_own_needs_no_lists():
    text = "FROM a:1\nRUN apt-get update && apt-get install git\nRUN apt-get update && apt-get install curl\n"
    assert fixed(text, "DL3009").count(CLEAN) == 2


@pytest.mark.parametrize(
    ("run", "after"),
    [
        ("apt-get install git", "apt-get install --no-install-recommends git"),
        ("apt-get -y -q install git", "apt-get -y -q install --no-install-recommends git"),
        ("apt-get install git --no-install-recommends", "apt-get install git --no-install-recommends"),
        ("apt-get install --install-recommends git", "apt-get install --install-recommends git"),
        ("apt-get install git -o APT::Install-Recommends=1", "apt-get install git -o APT::Install-Recommends=1"),
        ("sudo apt-get install git && apt-get install a", "sudo apt-get install --no-install-recommends git && "
         "apt-get install --no-install-recommends a"),
        ("timeout 60 apt-get install git", "timeout 60 apt-get install --no-install-recommends git"),
        ("sh -c 'apt-get install git'", "sh -c 'apt-get install git'"),
        ("apt-get update", "apt-get update"),
        ("echo 'apt-get install git'", "echo 'apt-get install git'"),
        ("echo apt-get install git", "echo apt-get install git"),
        ("apt-get remove install git", "apt-get remove install git"),
    ],
)  # fmt: skip
def test_recommended_packages_are_left_out(run, after):
    assert fixed(f"FROM a:1\nRUN {run}\n", "DL3015") == f"FROM a:1\nRUN {after}\n"


@pytest.mark.parametrize(
    ("run", "after"),
    [
        ("apt-get install git", f"apt-get install git={VERSIONS['git']}"),
        ("apt-get install git=1 libc6", "apt-get install git=1 libc6=2.36-9"),
        ("apt-get install git/stable other", "apt-get install git/stable other"),
        ("apt-get install ./git", "apt-get install ./git"),
        ("apt-get install $P git", "apt-get install $P git"),
        ("apt-get install x && git clone y && echo curl", "apt-get install x && git clone y && echo curl"),
    ],
)
def test_versions_that_are_known_are_written(run, after):
    done = fixed(f"FROM a:1\nRUN {run}\n", "SKY011")
    assert done in (f"FROM a:1\nRUN {after}\n", f"FROM a:1\nRUN apt-get install $P git={VERSIONS['git']}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "GIT \\\n# git, curl \\\n  LIBC6",
        "\\\n  # by apt-get install git\n  GIT \\\n && apt-get install \\\n  # last\n  LIBC6",
        "GIT # as curl needs, after apt-get install libc6",
        "GIT > curl",
        "<curl GIT 2>> libc6",
        "GIT > \\\n curl && nothing",
    ],
)
def test_comments_and_redirections_stay(arguments):
    after = arguments.replace("GIT", f"git={VERSIONS['git']}").replace("LIBC6", f"libc6={VERSIONS['libc6']}")
    before = f"FROM a:1\nRUN apt-get install {arguments.lower()}\n"
    assert fixed(before, "SKY011") == f"FROM a:1\nRUN apt-get install {after}\n"


def test_a_comment_is_no_installation():
    before = "FROM a:1\nRUN true && \\\n# apt-get install is slow\n apt-get install git # apt-get install it\n"
    after = before.replace(" apt-get install git", " apt-get install --no-install-recommends git")
    assert fixed(before, "DL3015") == after
    below = "FROM a:1\nRUN apt-get install git \\\n # git\n"
    assert fixed(below, "DL3009", "SKY011") == below.replace(" git \\", f" git={VERSIONS['git']} \\")


def test_a_version_that_is_none_is_not_written():
    text = "FROM a:1\nRUN apt-get install git\n"
    assert fixed(text, "SKY011", versions={"git": "1; rm -rf /"}) == text
    assert fixed(text, "SKY011", versions={}) == text


def test_only_lines_with_a_finding_are_touched():
    text = "FROM a:1\nRUN apt-get install git\nRUN apt-get install curl\n"
    done = fix_dockerfile(text.encode(), [Finding(3, "DL3015", "info", "")], {})
    assert done.decode().splitlines() == [
        "FROM a:1", "RUN apt-get install git", "RUN apt-get install --no-install-recommends curl",
    ]  # fmt: skip


def test_ends_of_lines_and_bytes_of_any_kind_stay():
    before = b"\xef\xbb\xbfFROM a:1\r\nRUN apt-get update \\\r\n && apt-get install git\r\nLABEL x=\xff\xfe"
    findings = [Finding(line, code, "info", "") for line in (2, 3) for code in FIXABLE]
    assert fix_dockerfile(before, findings, {}) == (
        b"\xef\xbb\xbfFROM a:1\r\nRUN apt-get update \\\r\n && apt-get install --no-install-recommends git \\\r\n"
        b" && rm -rf /var/lib/apt/lists/*\r\nLABEL x=\xff\xfe"
    )


PIECES = st.sampled_from([
    "RUN ", "apt-get ", "install ", "update ", "git ", "-y ", "&& ", "; ", "| ", "\\\n", "\n", "# c\n", "'", '"', "$(",
    ")", "<<EOF\n", "EOF\n", "FROM a\n", "curl", "--no-install-recommends ", "`", "\r\n", "&", "echo ",
])  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
def test_whatever_it_is_what_was_there_stays_in_its_order(text):
    done = fixed("FROM a\n" + text)
    left = iter(done)
    assert all(sign in left for sign in "FROM a\n" + text)
    # What is mended needs no mending.
    assert fixed(done) == done
