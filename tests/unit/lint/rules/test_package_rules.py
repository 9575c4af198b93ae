"""What lint finds where packages are installed."""

import pytest

from skyport_wf.lint.dockerfile import lint_script
from tests.support.dockerfile_lint import DIGEST, PINNED, lint, told, told_of_run

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
    "apt-get remove samtools",
    "apt-get purge -y samtools && apt-get clean",
    "echo apt-get install samtools",
    "echo 'x && apt-get install samtools'",
    "true # apt-get install samtools",
    "xargs -a packages.txt apt-get remove",
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


@pytest.mark.parametrize(
    "packages",
    ["$PACKAGES", "$(cat packages.txt)", '"${PACKAGES}"', "`cat x`", "a=1 $(cat x)", "${P//,/ }", "a=1 ${P/a /b c }"],
)
def test_packages_that_lint_cannot_see(packages):
    assert told_of_run(f"apt-get install -y {packages}") == {"SKY012"}


@pytest.mark.parametrize(
    "command",
    [
        "xargs --arg-file packages.txt --max-args 5 apt-get install",
        "xargs -a packages.txt apt-get install -y",
        "cat packages.txt | xargs apt-get install -y a=1",
        "xargs -I{} sudo apt-get install {} <packages.txt",
        "xargs -I % apt-get install -y %",
    ],
)
def test_packages_that_xargs_reads(command):
    assert told_of_run(command) == {"SKY012"}
    assert told_of_run(command.replace("apt-get", "conda")) == set()


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
