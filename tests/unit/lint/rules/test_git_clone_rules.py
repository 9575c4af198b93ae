"""What lint finds where repositories are cloned."""

import pytest

from skyport_wf.lint.findings import in_order
from tests.support.dockerfile_lint import COMMIT, PINNED, lint, told, told_of_run

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
