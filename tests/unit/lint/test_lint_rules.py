"""Each of our rules: what it finds, on which line, and what it leaves alone."""

from pathlib import Path

import pytest

from skyport_wf.image.context import BuildContext
from skyport_wf.image.instructions import read_instructions
from skyport_wf.lint.dockerfile import Surroundings, lint_dockerfile, lint_script
from skyport_wf.lint.findings import Finding, in_order
from skyport_wf.lint.rules.line_ends import check_line_ends

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = f"sha256:{COMMIT}{COMMIT[:24]}"
PINNED = f"FROM debian:bookworm@{DIGEST}\n"


def lint(text: str, **given: object) -> list[Finding]:
    return list(lint_dockerfile(read_instructions(text.encode()), Surroundings(**given)))  # type: ignore[arg-type]


def told(text: str, **given: object) -> list[str]:
    """Return line and code of each finding, but for what a pinned Debian has none of."""
    return sorted(f"{found.line} {found.code}" for found in lint(text, **given))


def told_of_run(command: str) -> set[str]:
    """Return the codes of what is found in one RUN, and in the same command as a script."""
    in_dockerfile = {found.code for found in lint(f"{PINNED}RUN {command}\n")}
    in_script = {found.code for found in lint_script(f"#!/bin/sh\nset -e\n{command}\n")}
    assert in_script == in_dockerfile
    return in_dockerfile


# The base image

FROM = {
    "no tag": ("FROM debian\n", ["1 SKY001"]),
    "latest": ("FROM debian:latest\n", ["1 SKY001"]),
    "no tag behind a port": ("FROM localhost:5000/debian\n", ["1 SKY001"]),
    "tag behind a port": ("FROM localhost:5000/debian:12\n", ["1 SKY002"]),
    "tag": ("FROM debian:bookworm\n", ["1 SKY002"]),
    "digest": (f"FROM debian@{DIGEST}\n", []),
    "tag and digest": (f"FROM debian:latest@{DIGEST}\n", []),
    "platform": ("FROM --platform=linux/amd64 debian AS x\n", ["1 SKY001"]),
    "stages": (f"{PINNED[:-1]} AS one\nFROM one AS two\nFROM TWO\n", []),
    "another stage": (f"FROM debian AS one\n{PINNED}COPY --from=one /a /a\n", ["1 SKY001"]),
    "not a stage yet": (f"FROM builder\n{PINNED[:-1]} AS builder\n", ["1 SKY001"]),
    "copied from": (f"{PINNED}COPY --from=debian /a /b\nCOPY --from=a:1 /a /b\n", ["2 SKY001", "3 SKY002"]),
    "mounted from": (f"{PINNED}RUN --mount=type=bind,from=debian,target=/x true\n", ["2 SKY001"]),
    "mounted on the next line": (f"{PINNED}RUN \\\n --mount=from=debian,target=/x true\n", ["3 SKY001"]),
    "ARG with a tag": ("ARG TAG=12\nFROM debian:${TAG}\n", ["2 SKY002"]),
    "ARG that is latest": ("ARG TAG=latest\nFROM debian:$TAG\n", ["2 SKY001"]),
    "ARG with a digest": (f"ARG BASE=debian@{DIGEST}\nFROM $BASE\n", []),
    "ARG without a value": ("ARG TAG\nFROM debian:${TAG}\n", ["2 SKY001"]),
    "nothing but an ARG": ("ARG BASE\nFROM ${BASE}\n", ["2 SKY001"]),
    "ARG with a fallback": ("ARG TAG\nFROM debian:${TAG:-12}\n", ["2 SKY002"]),
    "ARG without its end": ("ARG IMG=debian:12-x\nFROM ${IMG%-x}\n", ["2 SKY002"]),
    "ARG with a digest and an end": (f"ARG IMG=debian@{DIGEST}-x\nFROM ${{IMG%-x}}\n", []),
    "a program's own --from": (f"{PINNED}RUN uvx --from=tool==1.0 tool && uv tool run --from=a==1 b\n", []),
    "continued": ("FROM \\\n  # which?\n  debian\n", ["1 SKY001"]),
    "another escape": ("# escape=`\nFROM `\n  debian\n", ["2 SKY001"]),
    "nothing": ("", ["1 SKY003"]),
    "a comment": ("# syntax=docker/dockerfile:1\n# FROM debian\n", ["1 SKY003"]),
    "no FROM": ("ARG A=1\nRUN true\n", ["1 SKY003"]),
    "no image": ("FROM\n", ["1 SKY003"]),
}


@pytest.mark.parametrize(("text", "expected"), FROM.values(), ids=FROM.keys())
def test_base_images(text, expected):
    assert told(text) == expected


def test_build_args_count_for_the_base():
    assert told("ARG TAG\nFROM debian:$TAG\n", build_args={"TAG": "12"}) == ["2 SKY002"]
    assert told("ARG TAG=12\nFROM debian:$TAG\n", build_args={"TAG": "latest"}) == ["2 SKY001"]


def test_images_of_the_list_are_pinned_by_their_own_tags():
    text = "FROM lab/base:1\nCOPY --from=lab/tool:2 /a /b\nCOPY --from=lab/tool:3 /a /b\n"
    assert told(text, listed={"lab/base:1", "lab/tool:2"}) == ["3 SKY002"]


def test_the_base_is_told_with_what_to_write():
    (untagged,) = lint("FROM debian\n")
    assert untagged.message == "`debian` has no tag: each build takes whatever is newest on that day"
    assert untagged.instead and untagged.instead.startswith("`debian:TAG@sha256:DIGEST`")
    (latest,) = lint("FROM debian:latest\n")
    assert latest.message == "`debian:latest`: each build takes whatever is newest on that day"
    (tagged,) = lint("FROM debian:12\n")
    assert "a tag moves when its image is updated" in tagged.message
    assert tagged.instead and tagged.instead.startswith("`debian:12@sha256:DIGEST`")
    (empty,) = lint("")
    assert empty.level == "error"
    assert empty.message == "no FROM says what the image starts from: docker refuses such a file"
    assert empty.instead == "`FROM IMAGE:TAG@sha256:DIGEST`"
    (unset,) = lint("ARG V\nFROM debian:$V\n")
    assert unset.message == "which image `debian:$V` is, only who builds it says: an ARG has no default"


# Packages

UNPINNED_APT = [
    "apt-get install -yt bookworm-backports samtools",
    "apt-get install -oDpkg::Use-Pty=t samtools",
    "apt-get install -ty samtools",
    "sudo --user root apt-get install samtools",
    "apt-get update && apt-get install -y samtools",
    "apt-get install samtools=1.16 velvet",
    "apt-get -qq -o Dpkg::Use-Pty=0 install samtools",
    "apt-get install --no-install-recommends -t bookworm-backports samtools",
    "apt-get install samtools/bookworm-backports",
    "apt install samtools",
    "DEBIAN_FRONTEND=noninteractive apt-get install samtools",
    "sudo -E apt-get install samtools",
    "sudo -u root env A=b apt-get install samtools",
    "timeout 600 apt-get -y install samtools",
    "timeout -s KILL --kill-after 5 600 apt-get install samtools",
    "timeout --signal=KILL 600 nice -n 5 apt-get install samtools",
    "time -p apt-get install samtools",
    "/usr/bin/time -f %e apt-get install samtools",
    "ionice -c 3 apt-get install samtools",
    "chrt --idle 0 apt-get install samtools",
    "setpriv --reuid 0 --clear-groups apt-get install samtools",
    "flock -w 9 /tmp/lock apt-get install samtools",
    "stdbuf -oL apt-get install samtools",
    "taskset -c 0,1 apt-get install samtools",
    "gosu root apt-get install samtools",
    "runuser -u root -- apt-get install samtools",
    "setsid apt-get install samtools",
    "if true; then apt-get install samtools; fi",
    "(apt-get install samtools)",
    "{ apt-get install samtools; }",
    "true || apt-get install 'samtools'",
    "sh -c 'apt-get update; apt-get install samtools'",
    'bash -euxc "apt-get install samtools"',
    'X="$(apt-get install samtools)"',
    "for tool in a b; do apt-get install samtools; done",
    "N=$(nproc) apt-get install samtools",
    "env N=`nproc` apt-get install samtools",
    'A="$(a) b" B=c apt-get install samtools',
    "apt-get install samtools >/dev/null 2>&1",
    "xargs apt-get install samtools <more.txt",
    "apt-get build-dep samtools",
    "apt-get -y upgrade",
    "apt-get dist-upgrade",
]
PINNED_APT = [
    "apt-get update",
    "apt-get install samtools=1.16.1-1 'velvet=1.2.10*'",
    "apt-get install -y samtools=${VERSION}",
    "apt-get install ./samtools.deb /tmp/other.deb",
    "apt-get install -o Dir::Etc=x -t bookworm a=1",
    "apt-get install --default-release bookworm-backports samtools=1",
    "apt-get install -yt bookworm-backports -P nocheck --host-architecture arm64 samtools=1",
    "apt-get -qo Dpkg::Use-Pty=0 --solver internal --with-source /x/Packages install samtools=1",
    "sudo --user root apt-get install samtools=1",
    "timeout 600 apt-get install samtools=1",
    "timeout apt-get install samtools",
    "xargs --arg-file packages.txt --max-args 5 apt-get install",
    "apt-get remove samtools",
    "apt-get purge -y samtools && apt-get clean",
    "echo apt-get install samtools",
    "echo 'x && apt-get install samtools'",
    "true # apt-get install samtools",
    "xargs -a packages.txt apt-get install",
    "cat <<EOF >/x\napt-get install samtools\nEOF",
    "apt-get install --snapshot 20240101T000000Z samtools",
    "apt-get install -S 20240101T000000Z samtools",
    "apt-cache policy samtools",
]


@pytest.mark.parametrize("command", UNPINNED_APT)
def test_apt_without_versions(command):
    assert told_of_run(command) == {"SKY011"}


@pytest.mark.parametrize("command", [command for command in PINNED_APT if "<<EOF" not in command])
def test_apt_with_versions(command):
    assert told_of_run(command) == set()


def test_what_a_script_only_writes_is_not_run():
    assert list(lint_script("cat <<EOF >/x\napt-get install samtools\nEOF\n")) == []
    assert told(f"{PINNED}RUN cat <<EOF >/x\napt-get install samtools\nEOF\n") == []
    assert told(f"{PINNED}COPY <<EOF /x\napt-get install samtools\nEOF\n") == []


@pytest.mark.parametrize("packages", ["$PACKAGES", "$(cat packages.txt)", '"${PACKAGES}"', "`cat x`", "a=1 $(cat x)"])
def test_packages_that_lint_cannot_see(packages):
    assert told_of_run(f"apt-get install -y {packages}") == {"SKY012"}


def test_packages_that_are_removed_need_no_version():
    assert told_of_run("apt-get install -y a=1 git-") == set()


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("ENV PACKAGES='a b=1'", ["3 SKY011"]),
        ("ENV PACKAGES a", ["3 SKY011"]),
        ("ENV PACKAGES='a=2 b=1'", []),
        ("ARG PACKAGES='a=2 b=1'", []),
        ("ARG PACKAGES=a", ["3 SKY011"]),
        ("ARG PACKAGES", ["3 SKY012"]),
    ],
)
def test_packages_in_variables_of_the_dockerfile(declared, expected):
    assert told(f"{PINNED}{declared}\nRUN apt-get install -y $PACKAGES\n") == expected


def test_a_blank_in_a_variable_is_between_packages_one_in_quotes_is_in_the_name():
    assert told(f"{PINNED}ENV P='a 1.2'\nRUN conda install $P\n") == ["3 SKY013"]
    assert told(f"{PINNED}ENV P='a=1 b=2'\nRUN conda install ${{P}}\n") == []
    assert told(f"{PINNED}ARG V\nRUN conda install \"a $V\" 'b ${{V}}' '' ' '\n") == []
    (found,) = lint(f"{PINNED}RUN conda install 'a >=1.2' \"b[version='<2']\"\n")
    assert found.message.startswith("`a >=1.2`, `b[version='<2']` without an exact version")
    assert found.instead and found.instead.startswith("`a=VERSION`")
    (found,) = lint(f"{PINNED}RUN conda install \"b[version='<2']\"\n")
    assert found.instead and found.instead.startswith("`b=VERSION`")


def test_variables_of_the_stage_below_and_from_before_the_first_stage():
    assert told(f"{PINNED[:-1]} AS one\nENV P=a\nFROM one\nRUN apt-get install $P\n") == ["4 SKY011"]
    assert told(f"ARG P=a\n{PINNED}ARG P\nRUN apt-get install $P\n") == ["4 SKY011"]
    assert told(f"ARG P=a\n{PINNED}RUN apt-get install $P\n") == ["3 SKY012"]
    assert told(f"{PINNED}ARG P=a=1\nRUN apt-get install $P\n", build_args={"P": "a"}) == ["3 SKY011"]


DATE = "20240101T000000Z"


@pytest.mark.parametrize(
    "text",
    [
        f"{PINNED}RUN echo 'deb http://snapshot.test/debian/{DATE} bookworm main' >/etc/apt/sources.list"
        " && apt-get update && apt-get install -y samtools\n",
        f"{PINNED}COPY <<EOF /etc/apt/sources.list\ndeb http://snapshot.test/{DATE} bookworm main\nEOF\n"
        "RUN apt-get install samtools\n",
        f"{PINNED}ARG WHEN={DATE}\nRUN apt-get install samtools\n",
        f"{PINNED[:-1]} AS one\nENV WHEN={DATE}\nFROM one\nRUN apt-get install samtools\n",
        f"FROM debian/snapshot:bookworm-20240101@{DIGEST}\nRUN apt-get install samtools\n",
    ],
)
def test_a_dated_archive_pins_packages(text):
    assert told(text) == []


def test_a_date_in_another_stage_or_a_comment_does_not():
    assert told(f"{PINNED[:-1]} AS one\nENV WHEN={DATE}\n{PINNED}RUN apt-get install a\n") == ["4 SKY011"]
    assert told(f"{PINNED}# {DATE}\nRUN apt-get install a\n") == ["3 SKY011"]
    assert told(f"{PINNED}ENV N=1{DATE}\nRUN apt-get install a\n") == ["3 SKY011"]


def test_a_snapshot_of_a_dated_image_or_with_a_date_of_its_own():
    assert list(lint_script("apt-get install a\n", base="debian/snapshot:bookworm-20240101")) == []
    assert list(lint_script(f"# {DATE}\napt-get install a\n", base="debian:12")) == []
    assert [found.line for found in lint_script("\napt-get install a\n", base="debian:12")] == [2]


def test_apt_is_told_with_what_to_write():
    (found,) = lint(f"{PINNED}RUN apt-get install -y a b=1 c d e\n")
    assert (
        found.message == "`a`, `c`, `d` and 1 more without a version: each build takes what the archive has on that day"
    )
    assert found.instead and found.instead.startswith("`a=VERSION` (`apt-cache policy a` in the base image tells it)")


@pytest.mark.parametrize(
    "command",
    [
        "conda install -y -c bioconda samtools", "mamba create -n x python=3.11 samtools",
        "conda update --all", "conda update -n base -y conda", "mamba upgrade samtools", "micromamba update -ya",
        "micromamba upgrade --all -y", "conda update samtools=1.16 velvet",
        "conda install https://x.test/samtools", "conda install samtools.conda velvet",
        'MAKEFLAGS="-j$(nproc)" conda install samtools', "env N=$(nproc) conda install samtools",
        "conda install \"samtools[version='>=1.10']\"", "conda install 'pytorch[build=cuda*]'",
        "conda install 'samtools[version=\">=1.1,<1.3\", build=x]'", "conda install 'samtools[version=1.1|1.2]'",
        "conda install bwa[channel=bioconda]", "conda install 'python=3.11|3.12'", "conda install 'numpy >=1.26'",
        "conda install 'numpy *'", "conda install 'pytorch=*=cuda*'", "conda install a=1 'b [build=x]'",
        "conda run -n base conda install samtools", "micromamba run -e A=b --cwd /x -p /y mamba install samtools",
        "micromamba env create -n x samtools", "mamba env create -yn x a=1 samtools",
        "micromamba install 'samtools>=1.16'", "conda install samtools!=1.16", "conda install bioconda::samtools",
    ],
)  # fmt: skip
def test_conda_without_versions(command):
    assert told_of_run(command) == {"SKY013"}


@pytest.mark.parametrize(
    "command",
    [
        "conda install -y --solver libmamba samtools=1.16.1", "conda install --channel-priority strict samtools=1.16.1",
        "conda install --repodata-fn current_repodata.json samtools=1.16.1", "conda create -n x --clone base",
        "conda create -yn x --subdir linux-64 samtools=1.16", "conda install --revision 2",
        "conda install -yqc x a=1.1",
        "conda install https://x.test/linux-64/samtools-1.18-h50ea8bc_1.tar.bz2",
        "micromamba create -n x https://x.test/samtools-1.18-h50ea8bc_1.conda#0123456789abcdef0123456789abcdef",
        "conda install samtools-1.18-h50ea8bc_1.tar.bz2 pkgs/velvet-1.2-0.conda", "conda update --help",
        "conda install \"samtools[version='1.10']\"", 'conda install "samtools[build=x,version=\\"=1.10\\"]"',
        "conda install 'samtools=1.10[build=h1]' 'bwa[version=1.2]'", "conda install 'bwa[md5=0123]' 'a[sha256=12]'",
        "conda install 'numpy 1.26.4' 'scipy 1.1 py311_0'", "conda install 'numpy ==1.26.4' 'scipy = 1.1'",
        "conda install 'python=3.11,<3.11.5' 'numpy=1.*' 'pytorch=2.1=cuda*'", "conda run -n base conda list",
        "conda run", "micromamba env create -n x samtools=1.16", "micromamba env list", "conda env create lab/tools",
        "conda update samtools=1.16", "mamba update --file packages.txt", "conda update $PACKAGES",
        "conda env update -f environment.yml",
        "micromamba install --log-level debug --rc-file x -yr /opt samtools=1.16",
        "conda install -y -c bioconda samtools=1.16", "conda create --name x python==3.11.2 'samtools=1.16=h1'",
        "conda env create -f environment.yml", "mamba install --file requirements.txt", "conda clean --all",
        "conda install bioconda::samtools=1.16", "conda install $PACKAGES",
    ],
)  # fmt: skip
def test_conda_with_versions(command):
    assert told_of_run(command) == set()


# Repositories

CLONE = "git clone https://example.org/velvet.git"


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        (CLONE, {"SKY021"}),
        (f"{CLONE} && cd velvet && make", {"SKY021"}),
        (f"N=$(nproc) {CLONE}", {"SKY021"}),
        ("git -c http.sslVerify=true clone --depth 1 https://example.org/velvet", {"SKY021"}),
        (f"git clone --recursive {CLONE[10:]} /src", {"SKY021"}),
        (f"git checkout {COMMIT} ; {CLONE}", {"SKY021"}),
        (f"{CLONE} && git checkout {COMMIT}", set()),
        (f"{CLONE} && cd velvet && git checkout -q {COMMIT} && make", set()),
        (f"{CLONE} /src && git -C /src reset --hard {COMMIT}", set()),
        (f"{CLONE} && (cd velvet; git switch --detach {COMMIT})", set()),
        (f"git clone --revision={COMMIT} {CLONE[10:]}", set()),
        (f"git clone --revision {COMMIT} {CLONE[10:]}", set()),
        (f"git init && git fetch --depth 1 origin {COMMIT} && git checkout FETCH_HEAD", set()),
        (f"git clone --branch v1.0 {CLONE[10:]}", {"SKY022"}),
        (f"git clone -b main --depth=1 {CLONE[10:]}", {"SKY022"}),
        (f"git clone --branch=v1.0 {CLONE[10:]} x", {"SKY022"}),
        (f"{CLONE} && git checkout v1.0", {"SKY022"}),
        (f"{CLONE} && git checkout {COMMIT[:12]}", {"SKY022"}),
        (f"{CLONE} && git checkout $COMMIT", {"SKY022"}),
        (f"git clone -b main {CLONE[10:]} && git checkout {COMMIT}", set()),
        (f"{CLONE} && git clone https://x.test/b && cd b && git checkout {COMMIT}", {"SKY021"}),
        (f"{CLONE} && git clone https://x.test/b && cd velvet && git checkout {COMMIT} && cd ../b"
         f" && git checkout {COMMIT}", set()),
        (f"{CLONE} && cd velvet && git checkout -b work", {"SKY021"}),
        (f"{CLONE} && cd velvet && git checkout -qb work --", {"SKY021"}),
        (f"{CLONE} && git -C velvet checkout -- Makefile", {"SKY021"}),
        (f"{CLONE} && git -C velvet checkout {COMMIT} -- Makefile", {"SKY021"}),
        (f"{CLONE} && git -C velvet checkout {COMMIT} Makefile", {"SKY021"}),
        (f"{CLONE} && cd velvet && git checkout .", {"SKY021"}),
        (f"{CLONE} && cd velvet && git checkout ./src", {"SKY021"}),
        (f"{CLONE} && cd velvet && git reset --hard HEAD", {"SKY021"}),
        (f"{CLONE} && cd velvet && git switch -c work", {"SKY021"}),
        (f"{CLONE} && cd velvet && git submodule foreach git checkout {COMMIT}", {"SKY021"}),
        (f"{CLONE} && cd velvet && git checkout -b work origin/dev", {"SKY022"}),
        (f"{CLONE} && cd velvet && git fetch origin dev && git checkout FETCH_HEAD", {"SKY022"}),
        (f"{CLONE} && cd velvet && git fetch && git checkout FETCH_HEAD", {"SKY022"}),
        (f"git clone -b v1.0 {CLONE[10:]} && cd velvet && git checkout -b work", {"SKY022"}),
        (f"{CLONE} && cd velvet && git checkout -b work {COMMIT}", set()),
        (f"{CLONE} && cd velvet && git switch -c work {COMMIT}", set()),
        (f"{CLONE} && cd velvet && git checkout {COMMIT} --", set()),
        (f"{CLONE} && cd velvet && git checkout {COMMIT} .", set()),
        (f"{CLONE} && cd velvet && git checkout {COMMIT} && git checkout -b work && git checkout -- Makefile", set()),
        (f"{CLONE} && cd velvet && git submodule init && git checkout {COMMIT}", set()),
        (f"{CLONE} && git -C velvet fetch --depth 1 origin {COMMIT} && git -C velvet checkout FETCH_HEAD", set()),
        (f"{CLONE} && git -C velvet fetch origin +{COMMIT}:x && git -C velvet reset --hard FETCH_HEAD", set()),
        (f"git init /b && {CLONE} && git -C velvet checkout {COMMIT}", set()),
        (f"{CLONE} && git init /b && git -C /b checkout {COMMIT}", {"SKY021"}),
        (f"{CLONE} && git init b && cd b && git fetch origin {COMMIT} && git checkout FETCH_HEAD", {"SKY021"}),
        (f"{CLONE} && mkdir b && cd b && git init . && git checkout {COMMIT}", {"SKY021"}),
        (f"mkdir a && cd a && {CLONE} . && git clone https://x.test/b /b && git -C /a checkout {COMMIT}"
         f" && git -C /b checkout {COMMIT}", set()),
        ("git clone /src /build && git clone ./a.bundle b && git clone a && git clone -b x .. y", set()),
        ("git clone file:///src && git clone File:///$SRC b && git clone /$SRC/a", set()),
        ("git clone $SRC", {"SKY021"}),
        ("git clone host:src", {"SKY021"}),
        (f"{CLONE} && git clone velvet b && cd b && git checkout {COMMIT}", {"SKY021"}),
        ("git --version", set()),
        ("git clone", set()),
        ("echo git clone x", set()),
    ],
)  # fmt: skip
def test_clones(command, codes):
    assert told_of_run(command) == codes


def test_a_commit_that_the_dockerfile_names():
    assert told(f"{PINNED}ARG COMMIT={COMMIT}\nRUN {CLONE} && git checkout ${{COMMIT}}\n") == []
    assert told(f"{PINNED}ARG COMMIT=main\nRUN {CLONE} && git checkout $COMMIT\n") == ["3 SKY022"]


def test_a_commit_that_a_later_instruction_checks_out():
    assert told(f"{PINNED}RUN {CLONE} /src\nWORKDIR /src\nRUN git checkout {COMMIT}\n") == []


@pytest.mark.parametrize(
    ("lines", "unpinned"),
    [
        (
            ("RUN {clone} /src && cd /src && make", "RUN {other} /b", "WORKDIR /b", "RUN git checkout {commit}"),
            "velvet",
        ),
        (("RUN {clone} /src && {other}", "WORKDIR /", "WORKDIR src", "RUN git checkout {commit}"), "b"),
        (("RUN {clone} /src && {other}", "WORKDIR /src/lib", "RUN cd .. && git checkout {commit}"), "b"),
        (("RUN {clone} && {other}", "RUN cd velvet && make", "RUN git -C b checkout {commit}"), "velvet"),
    ],
)
def test_each_run_begins_in_the_folder_of_workdir(lines, unpinned):
    text = "\n".join(lines).format(clone=CLONE, other="git clone https://x.test/b.git", commit=COMMIT)
    (found,) = lint(f"{PINNED}{text}\n")
    assert (found.code, f"/{unpinned}.git` is cloned" in found.message) == ("SKY021", True)


def test_no_password_of_an_address_is_shown():
    text = (
        f"{PINNED}RUN git clone https://me:hunter2@example.org/a.git?key=hunter2\nADD https://me:hunter2@x.test/a /\n"
    )
    text += "RUN curl -u a https://me:hunter2@x.test/a?token=hunter2 | sh\nRUN wget https://me:hunter2@x.test/a\n"
    text += "RUN wget x.test:80/a?token=hunter2\nENV U=https://me:hunter2@x.test/a\nRUN wget $U\n"
    found = in_order(lint(text))
    assert [one.code for one in found] == ["SKY021", "SKY032", "SKY031", *["SKY033"] * 3]
    assert not any("hunter2" in f"{one.message} {one.instead}" for one in found)
    assert "`https://example.org/a.git` is cloned without a commit" in found[0].message


# Downloads


@pytest.mark.parametrize(
    "command",
    [
        "curl -fsSL https://x.test/install.sh | sh",
        "curl https://x.test/i | sudo -E bash -",
        "wget -qO- https://x.test/i | bash -s -- --yes",
        "curl https://x.test/i | tee log | sh",
        "curl https://x.test/i | bash -eux",
        "curl https://x.test/i | env A=b sh",
        "curl https://x.test/i | /usr/bin/python3 -",
        "curl https://x.test/i | perl",
        "bash <(curl -s https://x.test/i)",
        "bash < <(curl -s https://x.test/i)",
        'sh -c "$(curl -fsSL https://x.test/i)"',
        'eval "$(wget -O- https://x.test/i)"',
        ". <(curl https://x.test/i)",
        "bash -c 'curl https://x.test/i | sh'",
        "cd /tmp && (curl https://x.test/i) | cat; curl https://x.test/j | sh",
        'curl https://x.test/i | N="$(nproc)" sh',
        "curl https://x.test/i | bash /dev/stdin",
        'N=$(nproc) bash -eo pipefail -c "$(curl https://x.test/i)" script --yes',
        'bash <<< "$(curl https://x.test/i)"',
        'source /dev/stdin <<< "$(curl https://x.test/i)"',
        '<<< "$(curl https://x.test/i)" bash -s -- --yes',
        "python3 - --yes < <(curl https://x.test/i)",
        'python3 -W ignore -c "$(curl https://x.test/i)"',
        'perl -e "$(curl https://x.test/i)" x',
        'eval "X=$(curl https://x.test/i)"',
        'eval export "$(curl https://x.test/i)"',
    ],
)
def test_scripts_from_the_network(command):
    assert told_of_run(command) == {"SKY031"}
    assert "SKY031" not in told_of_run(command.replace("curl", "cat").replace("wget", "cat"))


@pytest.mark.parametrize(
    "command",
    [
        "curl https://x.test/a.tar.gz | tar xz",
        "curl https://x.test/a | bash script.sh",
        "curl https://x.test/a | python3 parse.py",
        "curl https://x.test/a | python3 -c 'import sys'",
        "curl https://x.test/a | perl -ne print",
        "curl https://x.test/a || sh other.sh",
        "curl https://x.test/a >x; sh",
        "echo 'curl https://x.test/a | sh'",
        "curl https://x.test/a | sh -c cat",
        "sh -c ls",
        "V=$(curl https://x.test/a | jq -r .tag_name) && echo $V",
        "V=`curl https://x.test/a`",
        'bash install.sh --version "$(curl https://x.test/a)"',
        'bash -s "$(curl https://x.test/a)" <install.sh',
        "bash install.sh < <(curl https://x.test/a)",
        "sh -c 'echo $0' \"$(curl https://x.test/a)\"",
        'sh -c cat <<< "$(curl https://x.test/a)"',
        'python setup.py --version="$(curl https://x.test/a)"',
        'python -m build "$(curl https://x.test/a)"',
        'perl -ne print <<< "$(curl https://x.test/a)"',
        '. ./activate "$(curl https://x.test/a)"',
        'cat >"$(curl https://x.test/a)"',
    ],
)
def test_what_is_downloaded_but_not_run(command):
    assert "SKY031" not in told_of_run(command)


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("wget https://x.test/a.tar.gz", {"SKY033"}),
        ("curl -O https://x.test/a.tar.gz && tar xf a.tar.gz", {"SKY033"}),
        ("wget https://x.test/a && echo '12  a' | sha256sum --check -", set()),
        ("curl -O https://x.test/a && gpg --verify a.sig a", set()),
        ("curl -O https://x.test/a && gpg2 --verify a.sig a", set()),
        ("curl -O https://x.test/a && gpgv2 a.sig a", set()),
        ("aria2c --checksum=sha-256=12 https://x.test/a", set()),
        ("aria2c -o b --checksum sha-256=12 https://x.test/a", set()),
        ("aria2c https://x.test/a", {"SKY033"}),
        ("aria2c --checksum=sha-256=12 https://x.test/a && wget https://x.test/b", {"SKY033"}),
        ("curl --checksum=12 https://x.test/a", {"SKY033"}),
        ("curl -O https://x.test/a && test \"$(sha256sum <a)\" = x", set()),
        ('N="$(nproc)" curl -O https://x.test/a', {"SKY033"}),
        ("curl --version", set()),
        ("wget -qO x.d/a x.test/a.tar.gz", {"SKY033"}),
        ("curl -fsSLo a x.y.test:8080/$V/a", {"SKY033"}),
        ("curl --retry 3 --url x.test/a", {"SKY033"}),
        ("wget -nv -P x.d/a --header=x.d/b --post-file x.d/c $URL", set()),
        ("curl -so x.d/a -T x.d/b --config x.d/c $URL", set()),
        ("wget ../x.d/a /x.d/b x.d $HOST.test/a 127.0.0.1/a localhost/a", set()),
        ("aria2c x.d/a && cp x.test/a b", set()),
        ("curl -f http://localhost", set()),
        ("curl http://localhost:8080/health; wget -qO- HTTP://127.0.0.1/a; curl -g http://me:x@[::1]:80/a", set()),
        ("curl http://localhost/ https://x.test/a", {"SKY033"}),
        ("curl http://localhost.x.test/a", {"SKY033"}),
    ],
)  # fmt: skip
def test_downloads_that_nothing_checks(command, codes):
    assert told_of_run(command) == codes


@pytest.mark.parametrize(
    ("declared", "command", "address"),
    [
        ("ENV U=https://x.test/a", "curl -o /a $U", "https://x.test/a"),
        ("ARG BASE=https://x.test/b", 'wget "${BASE}/$V/a"', "https://x.test/b/$V/a"),
        ("ARG V=1 HOST=x.test", "wget $HOST/a-${V%.*}", "x.test/a-1"),
        ("ENV U='http://localhost/a https://x.test/a'", "wget $U", "https://x.test/a"),
        ("ENV U=http://localhost/a", "wget $U", None),
        ("ARG U", "wget $U ${U:-$W}", None),
    ],
)
def test_downloads_from_an_address_in_a_variable(declared, command, address):
    found = [one.message for one in lint(f"{PINNED}{declared}\nRUN {command}\n") if one.code == "SKY033"]
    why = f"nothing checks what `{address}` gives: it can be another file at each build"
    assert found == ([why] if address else [])


@pytest.mark.parametrize(
    ("add", "codes"),
    [
        ("ADD https://x.test/a.tar.gz /a/", ["2 SKY032"]),
        ('ADD ["https://x.test/a.tar.gz", "/a/"]', ["2 SKY032"]),
        ("ADD --chown=1:1 https://x.test/a https://x.test/b /a/", ["2 SKY032", "2 SKY032"]),
        (f"ADD --checksum={DIGEST} https://x.test/a /a/", []),
        ("ADD a.tar.gz b /a/", []),
        ("COPY a https://x.test/ /", []),
        ("ONBUILD ADD https://x.test/a /a/", ["2 SKY032"]),
        ("ADD https://x.test/a.git /a", ["2 SKY021"]),
        ("ADD git@x.test:a/b.git /a", ["2 SKY021"]),
        ("ADD https://x.test/a.git#main:sub /a", ["2 SKY022"]),
        (f"ADD https://x.test/a.git#{COMMIT} /a", []),
        (f"ADD https://x.test/a.git#{COMMIT}:sub /a", []),
        (f"ADD https://x.test/a.git?ref=v1&commit={COMMIT} /a", []),
        (f"ADD --checksum={COMMIT} https://x.test/a.git#v1 /a", []),
        ("ADD", []),
        ("ADD [broken", []),
    ],
)
def test_add(add, codes):
    assert told(f"{PINNED}{add}\n") == codes


def test_add_of_a_variable_address():
    assert told(f"{PINNED}ARG V=1\nADD https://x.test/$V/a /a\n") == ["3 SKY032"]
    (found,) = lint(f"{PINNED}ARG V=1\nADD https://x.test/$V/a /a\n")
    assert found.instead == "`ADD --checksum=sha256:DIGEST https://x.test/1/a ...`, which needs BuildKit"


# bash

AT = f"@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("FROM scratch\n", ["1 SKY042"]),
        ("FROM scratch\nENV A=b\n", ["1 SKY042"]),
        ("FROM scratch\nCOPY tool /tool\n", ["1 SKY041"]),
        ("FROM scratch\nCOPY tool /bin/\n", ["1 SKY041"]),
        ("FROM scratch\nCOPY bash /bin/\n", []),
        ("FROM scratch\nCOPY bash-static /bin/bash\n", []),
        ('FROM scratch\nCOPY ["bash-static", "/bin/bash"]\n', []),
        ("FROM scratch\nADD rootfs.tar.xz /\n", []),
        ("FROM scratch\nCOPY rootfs/ /\n", []),
        ("FROM scratch\nCOPY . /\n", []),
        (f"FROM debian:12{AT} AS one\nFROM scratch\nCOPY --from=one / /\n", []),
        (f"FROM alpine:3.20{AT}\n", ["1 SKY041"]),
        (f"FROM docker.io/library/busybox:1{AT}\n", ["1 SKY041"]),
        (f"FROM python:3.12-alpine{AT}\n", ["1 SKY041"]),
        (f"FROM python:3.12-alpine3.20{AT}\n", ["1 SKY041"]),
        (f"FROM mambaorg/micromamba:2.0.5-alpine3.20{AT}\n", []),
        (f"FROM docker.io/mambaorg/micromamba:alpine{AT}\n", []),
        (f"FROM lab/micromamba:alpine{AT}\n", ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN apk del bash\n", ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN apk --arch x86 del $DEPS bash && xargs apk del <x\n", ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN apk add bash && apk del bash-doc\n", []),
        (f"FROM node:alpine{AT}\n", ["1 SKY041"]),
        (f"FROM bash:5.2{AT}\n", ["1 SKY041"]),
        (f"FROM gcr.io/distroless/static-debian12:nonroot{AT}\n", ["1 SKY041"]),
        (f"FROM lab/alpine-tools:1{AT}\n", []),
        (f"FROM debian:12{AT}\n", []),
        (f"FROM alpine:3.20{AT}\nRUN apk add --no-cache samtools=1\n", ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN apk add --no-cache bash=5.2.26-r0 samtools=1\n", []),
        (f"FROM alpine:3.20{AT}\nRUN apk add samtools \\\n bash\n", []),
        (f'FROM alpine:3.20{AT}\nARG PKGS="bash samtools"\nRUN apk add $PKGS\n', []),
        (f'FROM alpine:3.20{AT}\nARG PKGS="velvet samtools"\nRUN apk add $PKGS\n', ["1 SKY041"]),
        (f"ARG P=bash\nFROM alpine:3.20{AT} AS one\nARG P\nFROM one\nRUN apk add ${{P}}=5\n", []),
        (f"FROM alpine:3.20{AT}\nENV B=5\nRUN apk add bash-$B\n", []),
        (f"FROM alpine:3.20{AT}\nRUN for p in bash samtools; do apk add $p; done\n", []),
        (f"FROM alpine:3.20{AT}\nRUN apk add $(cat /packages.txt)\n", []),
        (f"FROM alpine:3.20{AT}\nRUN xargs apk add </packages.txt\n", []),
        (f"FROM alpine:3.20{AT}\nRUN cat /packages.txt | xargs -n 1 apk add\n", []),
        (f"FROM alpine:3.20{AT}\nRUN apk add bash@edge samtools~1.2\n", []),
        (f"FROM alpine:3.20{AT}\nRUN apk add samtools=$V bash-completion\n", ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN apk add -X $MIRROR/main postgresql$V-client\n", ["1 SKY041"]),
        (f"FROM debian:12{AT} AS b\nFROM scratch\nCOPY --from=b /out /\n", []),
        (f"FROM debian:12{AT} AS b\nFROM scratch\nCOPY --from=b /out/ /usr/bin/\n", []),
        (f"FROM debian:12{AT} AS b\nFROM scratch\nARG TO=/\nCOPY --from=b /out $TO\n", []),
        (f"FROM debian:12{AT} AS b\nFROM scratch\nCOPY --from=b /out/tool.py /\n", ["2 SKY041"]),
        (f"FROM debian:12{AT} AS b\nFROM scratch\nCOPY --from=b /out/tool /bin/\n", ["2 SKY041"]),
        (f'FROM alpine:3.20{AT}\nSHELL ["/bin/bash", "-c"]\n', []),
        (f'FROM alpine:3.20{AT}\nSHELL ["/bin/ash", "-c"]\n', ["1 SKY041"]),
        (f"FROM alpine:3.20{AT}\nRUN ln -s /usr/local/bin/bash /bin/bash\n", []),
        (f"FROM alpine:3.20{AT} AS one\nRUN apk add bash\nFROM one\n", []),
        (f"FROM alpine:3.20{AT} AS one\nFROM debian:12{AT}\nCOPY --from=one /x /x\n", []),
        (f"FROM debian:12{AT} AS one\nFROM alpine:3.20{AT}\nCOPY --from=one /x /x\n", ["2 SKY041"]),
    ],
)
def test_bash(text, codes):
    assert told(text) == codes


def test_bash_of_the_stage_that_is_built():
    text = f"FROM debian:12{AT} AS one\nFROM alpine:3.20{AT} AS two\n"
    assert told(text) == ["2 SKY041"]
    assert told(text, target="one") == []


def test_bash_is_told_with_why_and_what_to_write():
    (found,) = lint(f"FROM alpine:3{AT}\n")
    assert "an AWE task cannot start without /bin/bash" in found.message
    assert found.instead and "apk add --no-cache bash=VERSION" in found.instead


# Volumes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VOLUME /data\nRUN touch /data/x\n", ["3 SKY061"]),
        ("VOLUME /data\\ /db\nRUN touch /db/x\n", ["3 SKY061"]),
        ('VOLUME ["/data", "/db"]\nRUN echo x >/db/y\n', ["3 SKY061"]),
        ("VOLUME /data\nRUN echo x 2>>/data/log\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN (echo a; echo b) >/data/x\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN >/data/x\n", ["3 SKY061"]),
        ("VOLUME /data/\nRUN true && \\\n  mkdir -p /data\n", ["4 SKY061"]),
        ("VOLUME /data\nRUN tar xf a.tar -C /data\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN ./configure --prefix=/data/x\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN dd if=/x of=/data/y\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN cp x /data/y\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN cp /data/x /y\n", []),
        ("VOLUME /data\nRUN ls /data && cat /data/x && test -d /data\n", []),
        ("VOLUME /data\nRUN mkdir /database /x/data\n", []),
        ("VOLUME /data\nRUN echo /data\n", []),
        ("VOLUME /data\nRUN sh -c 'rm -r /data/x'\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN cd /data && make\n", ["3 SKY061"]),
        ("VOLUME /data\nRUN cd /data && ls && cd / && make\n", []),
        ("VOLUME /data\nWORKDIR /data/x\nRUN make\nWORKDIR /\nRUN make\n", ["4 SKY061"]),
        ("WORKDIR /a\nWORKDIR b\nVOLUME /a/b\nRUN make\n", ["5 SKY061"]),
        ("VOLUME /data\nRUN <<E\ntrue\ntouch /data/x\nE\n", ["5 SKY061"]),
        ("ARG D=/data\nVOLUME $D\nRUN mkdir $D/x\n", ["4 SKY061"]),
        ('ARG D=/data\nENV E=/e\nVOLUME $D /e\nRUN echo >>"$D/x"\nRUN >${E}/x\n', ["5 SKY061", "6 SKY061"]),
        ("ARG D=/srv\nVOLUME ${D:-/data}\nRUN touch /data/x\nRUN touch /srv/x\n", ["5 SKY061"]),
        ("VOLUME $D\nRUN mkdir /data/x\n", ["2 SKY082"]),
        ("RUN touch /data/x\nVOLUME /data\n", []),
        ("VOLUME /data\nCOPY x /data/x\n", []),
        (f"VOLUME /data\n{PINNED}RUN touch /data/x\n", []),
    ],
)
def test_what_is_written_into_a_volume(text, expected):
    assert told(PINNED + text) == expected


def test_volumes_of_the_stage_below_and_of_the_base():
    assert told(f"{PINNED[:-1]} AS a\nVOLUME /data\nFROM a\nRUN touch /data/x\n") == ["4 SKY061"]
    volumes = {"lab/base:1": ("/data",)}
    text = "FROM docker.io/lab/base:1\nRUN touch /data/x\n"
    assert told(text, listed={"lab/base:1"}, volumes=volumes) == ["2 SKY061"]
    (found,) = lint(text, listed={"lab/base:1"}, volumes=volumes)
    assert found.message.startswith("`/data` is a VOLUME of the base image: what is written there is lost with the cl")


@pytest.mark.parametrize(
    ("script", "lines"),
    [("touch /data/x\n", [1]), ("#!/bin/bash\ncd /data\nwget-it\n", [3]), ("ls /data\n", []), ("touch /other\n", [])],
)
def test_what_a_script_writes_into_a_volume_of_its_base(script, lines):
    found = [one for one in lint_script(script, volumes=["/data"]) if one.code == "SKY062"]
    assert [one.line for one in found] == lines


# Variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY $A /x\n", ["2 SKY082"]),
        ("ARG A\nCOPY $A ${A}/x\n", []),
        ("ENV A=b B=$A\nENV C=$A\n", ["2 SKY082"]),
        ("ENV LD_LIBRARY_PATH=/usr/local/lib:$LD_LIBRARY_PATH\n", ["2 SKY082"]),
        ("ENV LIBRARY_PATH=/x\nENV LD_LIBRARY_PATH=/usr/local/lib:$LD_LIBRARY_PATH\n", ["3 SKY082"]),
        ("ENV A=/x:$A\nFROM debian@" + DIGEST + "\nENV A=/x:$A\n", ["2 SKY082", "4 SKY082"]),
        ("ENV B=$A\nFROM debian@" + DIGEST + "\nENV A=1\n", ["2 SKY081"]),
        ("COPY . /\nFROM scratch\nENV A=b B=$A\n", ["3 SKY042", "4 SKY081"]),
        ("ENV PATH=$PATH:/x\n", []),
        ("LABEL a='$X' b=\\$X c=\"\\$X\"\n", []),
        ('LABEL a="$X"\n', ["2 SKY082"]),
        ("RUN echo $X\nCMD echo $X\nENTRYPOINT $X\nHEALTHCHECK CMD $X\n", []),
        ("WORKDIR ${X:-/x}\nUSER ${X-y}\nLABEL a=${X:+y}\n", []),
        ("ENV X=/x${X:+:$X} Y=${Y+$Y/}y\nCOPY ${Z:+a${V+$Z$V}} /x\n", []),
        ("ENV X=/x${X:+:$X}\nFROM scratch\nCOPY . /\nENV Y=/y${Y:+:$Y}\n", []),
        ("LABEL a=${X:+$Y}$Z b=${Y:+y}$Y\nLABEL c=${V:-${W+w}$W}\n", ["2 SKY082"] * 2 + ["3 SKY082"]),
        ("LABEL a=${X:+x}$X\n", ["2 SKY082"]),
        ("USER $USER\nEXPOSE $P\nSTOPSIGNAL $S\nVOLUME $V\nADD $A /x\n", [f"{line} SKY082" for line in range(2, 7)]),
        ("ARG VERSION=1\nLABEL v=$VERSOIN\n", ["3 SKY081"]),
        ("COPY $A /x\nARG A=1\n", ["2 SKY082"]),
        ("ENV T=$TARGETARCH\n", ["2 SKY081"]),
        ("ARG TARGETARCH\nENV T=$TARGETARCH\n", []),
        ("ARG A=$B\n", ["2 SKY082"]),
        ("ENV A b $C\n", ["2 SKY082"]),
        ('COPY ["$A", "/x"]\n', ["2 SKY082"]),
        ("ONBUILD COPY $A /x\n", []),
    ],
)
def test_variables_without_a_value(text, expected):
    assert told(PINNED + text) == expected


def test_variables_of_other_places():
    text = f"ARG G=1\nFROM debian:$G-$H@{DIGEST} AS a\nARG B=1\nENV E=$G\n"
    assert told(text) == ["2 SKY081", "4 SKY081"]
    assert told(f"{text}FROM a\nENV F=$B\nFROM scratch\nENV B=$B\nENV I=$NONE\nCOPY . /\n") == [
        "2 SKY081", "4 SKY081", "8 SKY081", "9 SKY081",
    ]  # fmt: skip
    (_, inside, *_) = lint(text)
    assert inside.message == (
        "`$G` is empty: it is declared outside of the stages, and has a value in those only that declare it again"
    )
    assert inside.instead == "`ARG G` above, in this stage"
    assert told(f"FROM debian:12${{V:+-$V}}@{DIGEST}\n") == []
    (typo,) = lint(f"{PINNED}ARG VERSION=1\nLABEL v=$VERSOIN\n")
    assert (typo.message, typo.instead) == ("`$VERSOIN` is empty: nothing declares it", "`$VERSION`")


# Line ends


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (b"#!/bin/sh\r\nls\r\n", 1),
        (b"#!/usr/bin/env python3\r\nprint()\n", 1),
        (b"#!/bin/sh\nls\n\nls\r\n", 4),
        (b"ls\r\n", 1),
        (b"#!/bin/sh\nls\n", None),
        (b"#!/usr/bin/env python3\nprint()\r\n", None),
        (b"printf 'a\rb'\n", None),
        (b"", None),
    ],
)
def test_line_ends_of_windows(script, line):
    assert [one.line for one in check_line_ends(script.decode())] == ([line] if line else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF\nset -e\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN --network=none \\\n  <<-EOF\n\t#!/bin/sh\n\ttrue\n\tEOF\n", ["4 SKY091"]),
        ("RUN <<EOF\n#!/usr/bin/env python3\nprint()\nEOF\n", ["3 SKY091"]),
        ("RUN bash -e <<EOF\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN cat <<EOF >/etc/x\ntrue\nEOF\n", []),
        ("RUN python3 <<EOF\nprint()\nEOF\n", []),
        ("RUN <<EOF\nEOF\n", []),
        ("RUN true\n", []),
        ("COPY <<EOF /usr/bin/tool\n#!/bin/bash\ntrue\nEOF\n", ["3 SKY091"]),
        ("COPY <<one <<two /x/\na\none\n#!/bin/bash\ntwo\n", ["5 SKY091"]),
        ("COPY <<EOF /etc/tool.conf\na=b\nEOF\n", []),
        ("ONBUILD ADD <<EOF /usr/bin/tool\n#!/bin/bash\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN <<EOF\ncat <<X >/x\nX\napt-get install samtools\nEOF\n", ["3 SKY091", "5 SKY011"]),
    ],
)
def test_line_ends_of_windows_in_heredocs(text, expected):
    assert told((PINNED + text).replace("\n", "\r\n")) == expected
    assert "SKY091" not in "".join(told(PINNED + text))


# Copied files


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    for name in ("a.txt", "src/main.c", "src/deep/x", "Data/t", "secret.key", "[odd]"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("src")
    for name, target in {
        "dangling": "nowhere", "to itself": "to itself", "to secret": "secret.key", "absolute": "/a.txt",
        "to deep": "link/deep", "to main": "link/../link/main.c", "twice": "to main", "to all": "../..",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(target)
    (tmp_path / "Dockerfile").write_text("")
    (tmp_path / ".dockerignore").write_text("secret.key\nsrc/deep\n")
    return BuildContext(tmp_path, tmp_path / "Dockerfile")


@pytest.mark.parametrize(
    ("instruction", "codes"),
    [
        ("COPY a.txt /x", []),
        ("COPY ./a.txt src /x/", []),
        ("COPY /src/main.c ../a.txt Dockerfile /x/", []),
        ("COPY . /x", []),
        ("COPY / /x", []),
        ('COPY ["a.txt", "/x"]', []),
        ("COPY --chown=1:1 --link a.txt /x", []),
        ("COPY missing /x", ["SKY071"]),
        ("COPY dangling /x", ["SKY071"]),
        ('COPY ["to itself", "to secret", "to deep", "/x/"]', ["SKY071", "SKY071", "SKY071"]),
        ('COPY ["absolute", "to main", "twice", "to all", "link", "/x/"]', []),
        ('COPY --chown=1:1 "a.txt" \'src/main.c\' "/x/"', []),
        ("COPY a\\ b.txt /x/", ["SKY071", "SKY071"]),
        ("COPY a.txt\tsrc\v /x/", []),
        ("COPY a.txt missing /x/", ["SKY071"]),
        ("ADD src/missing.c /x", ["SKY071"]),
        ("COPY data/t /x", ["SKY071"]),
        ("COPY secret.key /x", ["SKY072"]),
        ("COPY src/deep/x /x", ["SKY072"]),
        ("COPY *.txt src/*.[ch] /x/", []),
        ("COPY *.md /x/", ["SKY074"]),
        ("COPY **/a.txt /x/", ["SKY074"]),
        ("COPY **/main.c s**c/m**.c ** /x/", []),
        ("COPY src/**/x /x/", ["SKY074"]),
        ("COPY --parents **/a.txt src/**/main.c ./src/./**/main.? **/t ** /x/", []),
        ("COPY --parents=true **/main.c /**/Data/* /x/", []),
        ("COPY --parents src/**/x **/*.md **/[x /x/", ["SKY074"] * 3),
        ("COPY --parents=false **/a.txt /x/", ["SKY074"]),
        ("COPY --parents missing src/./missing dangling /x/", ["SKY071"] * 2),
        ("COPY *.[^t]?? /x/", ["SKY074"]),
        ("COPY [a-c].tx\\t /x/", []),
        ("COPY a.txt *.md more* /x/", []),
        ("COPY *.md [a-c].txt /x/", []),
        ("ADD *.md https://x.test/missing.git /x/", ["SKY021"]),
        ("COPY *.md $UNKNOWN /x/", []),
        ("COPY *.md <<EOF /x/\nmissing\nEOF", []),
        ("COPY *.md missing /x/", ["SKY071"]),
        ("COPY *.md more* /x/", ["SKY074"] * 2),
        ("COPY a.txt *.md [ /x/", ["SKY074"]),
        ("COPY [^b-z].t[x-y]\\t /x/", []),
        ("COPY *main.c /x/", ["SKY074"]),
        ("COPY [ /x/", ["SKY074"]),
        ("COPY secret* /x/", ["SKY074"]),
        ("COPY [[]odd] /x/", []),
        ("COPY link/main.c link/deep/x /x/", []),
        ("COPY $UNKNOWN/x ${A:-a.txt} /x/", []),
        ("COPY ${A:-missing} /x/", ["SKY071"]),
        ('COPY ${A:-"a.txt"} "${A:-"a.txt"}" /x/', []),
        ("ARG A=a\nCOPY ${A:-missing}.txt ${A-missing}.txt ${A:+Data/t} ${B+missing}a.txt /x/", []),
        ("ARG A=missing\nCOPY ${A:-a.txt} /x/", ["SKY071"]),
        ('ARG A=a\nCOPY ["${A:-missing}.txt", "/x/"]', []),
        ("COPY --from=other missing /x", ["SKY001"]),
        ("ADD https://x.test/missing /x", ["SKY032"]),
        ("ADD https://x.test/missing.git /x", ["SKY021"]),
        ("COPY <<EOF /x\nmissing\nEOF", []),
        ("ONBUILD COPY missing /x", []),
        ("RUN cp missing /x", []),
        ("COPY missing", []),
    ],
)
def test_files_that_the_context_lacks(context, instruction, codes):
    found = [one.code for one in lint(f"{PINNED}{instruction}\n", context=context) if one.code != "SKY082"]
    assert found == codes
    assert "SKY07" not in "".join(one.code for one in lint(f"{PINNED}{instruction}\n"))


@pytest.mark.parametrize(
    ("instruction", "instead"),
    [
        ('COPY "a b.txt" /x/', '`COPY ["a b.txt", "/x/"]`'),
        ("COPY --from=one --chown=1:1 'ä b' \"$A/c d\" /x/", '`COPY --from=one --chown=1:1 ["ä b", "$A/c d", "/x/"]`'),
        ('ADD "https://me:hunter2@x.test/a b" /x', '`ADD ["https://x.test/a b", "/x"]`'),
        ('VOLUME "/c d"', '`VOLUME ["/c d"]`'),
        ('ONBUILD COPY "a b" /x', '`COPY ["a b", "/x"]`'),
        ('COPY "it\'s a.txt" /x/', "paths without blanks and quotes"),
        ("COPY it's.txt /x/", "paths without blanks and quotes"),
        ('COPY <<"a b" /x\na b', "paths without blanks and quotes"),
    ],
)
def test_a_blank_in_quotes_is_one_to_docker(context, instruction, instead):
    text = f"{PINNED[:-1]} AS one\n{PINNED}ARG A\n{instruction}\n"
    for found in (lint(text), lint(text, context=context)):
        (quote,) = (one for one in found if one.code.startswith("SKY07"))
        assert (quote.code, quote.line, quote.instead) == ("SKY075", 4, instead)
        assert quote.message == (
            f"a quote does not end: {instruction.removeprefix('ONBUILD ').partition(' ')[0]} is split at each blank,"
            " whatever the quotes say, and the build fails"
        )


@pytest.mark.parametrize(
    "instruction",
    ['COPY ["a b", "/x"]', "VOLUME /c\\ d", 'RUN "a b"', 'WORKDIR "/a b"', 'LABEL a="b c"', 'COPY "${A:-"x"}" /y'],
)
def test_other_blanks_and_quotes_are_none_of_those(instruction):
    assert "SKY075" not in "".join(told(f"{PINNED}ARG A\n{instruction}\n"))


@pytest.mark.parametrize("pattern", ["[", "src/[a-", "*[]", "a[-c]"])
def test_a_malformed_pattern_of_files_is_called_so(context, pattern):
    (found,) = (one for one in lint(f"{PINNED}COPY {pattern} /x/\n", context=context) if one.code == "SKY074")
    assert found.message == f"the pattern `{pattern}` is malformed, so that no file of the context matches it"
    assert "`[[]` is a bracket" in (found.instead or "")


def test_stages_behind_the_one_that_is_built_are_left_alone(context):
    behind = "FROM debian:$TAG\nCOPY secret.key missing /x/\nRUN apt-get install a\nENV A=$B\n"
    text = f"FROM debian{AT} AS one\nCOPY a.txt /x\n{behind}"
    assert told(text, context=context, target="one") == []
    (context.root / ".dockerignore").write_text("[\n")
    assert told(f"FROM debian{AT} AS one\n{behind}", context=context, target="one") == []
    assert "3 SKY081" in told(text)


def test_a_file_is_told_with_what_to_write(context):
    (other_case,) = lint(f"{PINNED}COPY data/t /x\n", context=context)
    assert (other_case.message, other_case.instead) == ("`data/t` is not in the context: the build fails", "`Data/t`")
    (ignored,) = lint(f"{PINNED}COPY secret.key /x\n", context=context)
    assert ignored.message == (
        "`secret.key` is no part of the context, as `.dockerignore` excludes it: the build fails"
    )
    assert ignored.instead == "`!secret.key` at the end of `.dockerignore`"


def test_a_dockerignore_that_docker_refuses(context):
    (context.root / ".dockerignore").write_text("[\n")
    (found,) = lint(f"{PINNED}COPY a.txt /x\n", context=context)
    assert found.code == "SKY073"
    assert found.message.startswith(f"{context.root}/.dockerignore, line 1: docker refuses the pattern '['")


# Lines and shells

LONG = """\
FROM debian:12@sha256:1
# first
RUN --mount=type=cache,target=/x \\
    set -e; \\
    # in between

    apt-get install \\
      samtools && \\
    git clone https://x.test/a
RUN <<EOF
set -e
apt-get install velvet

curl https://x.test/i | sh
EOF
RUN bash -e <<'EOF'
git clone https://x.test/b
EOF
RUN python3 <<EOF
apt-get install velvet
EOF
RUN <<EOF
#!/usr/bin/env python3
apt-get install velvet
EOF
RUN ["apt-get", "install", "bowtie2"]
ONBUILD RUN apt-get install bowtie2
RUN <<-one cat && <<two apt-get install z
\tFROM x
\tone
FROM y
two
"""


def test_every_finding_has_the_line_that_it_is_on():
    expected = [
        "12 SKY011", "14 SKY031", "17 SKY021", "26 SKY011", "27 SKY011", "28 SKY011", "7 SKY011", "9 SKY021",
    ]  # fmt: skip
    assert told(LONG) == expected


def test_a_script_that_no_shell_runs_is_left_alone():
    assert list(lint_script("#!/usr/bin/env python3\napt-get install a\n")) == []
    assert [found.line for found in lint_script("#!/usr/bin/env -S bash -e\napt-get install a\n")] == [2]
    assert [found.line for found in lint_script("#!/bin/sh\n\ncurl x \\\n | \\\n sh\n")] == [3]
