"""What lint says of instructions that every builder refuses."""

import pytest

from skyport_wf.lint.rules.refused import check_lines
from tests.support.dockerfile_lint import COMMIT, DIGEST, PINNED, lint, told

REFUSED = [
    *("SHELL /bin/bash", "SHELL []", 'SHELL ["/bin/bash", -c]'),
    *("STOPSIGNAL FOO", "STOPSIGNAL 0", "STOPSIGNAL SIGRTMIN+16", "STOPSIGNAL SIGTERM now"),
    *("VOLUME []", 'VOLUME [""]', 'VOLUME ["/data", ""]', "ONBUILD VOLUME []"),
    *("ENV =x", "ENV A=1 =x", "LABEL =x", "ARG =x", "ARG A = x"),
    *(f"COPY --from=a@{DIGEST[:-1]} /a /b", f"RUN --mount=from=a@{DIGEST.upper()},target=/x true"),
    *("COPY --from=1 /a /b", "COPY --from=Debian /a /b", "RUN --mount=from=a/B:1,target=/x true"),
]
TAKEN = [
    *('SHELL ["/bin/bash", "-c"]', 'ONBUILD SHELL [ "sh" ]'),
    *("STOPSIGNAL 9", "STOPSIGNAL int", "STOPSIGNAL SIGRTMIN+15", "STOPSIGNAL RTMAX-14", 'STOPSIGNAL "SIGCLD"'),
    *("ARG S=HUP\nSTOPSIGNAL $S", "ARG S\nSTOPSIGNAL $S", 'VOLUME ["/data"]', "VOLUME /a /b"),
    *("ENV A= B=x", "ENV A =x", "ENV A==x", "ENV A=' =x'", "LABEL a.b= c=d"),
    f"COPY --from=localhost:5000/a@{DIGEST} /a /b",
]

OPTIONS_REFUSED = [
    *("COPY --form=b a /b", "COPY --from b /a /b", "COPY --checksum=1 a /b", "ADD --chown 1 a /b"),
    *("COPY --chmod=abc a /b", "COPY --chmod=17777 a /b", "COPY --chmod=u+q a /b", "COPY --link=1 a /b"),
    *("ADD --checksum=sha256:abc https://x.test/a /b", f"ADD --checksum={DIGEST[7:]} https://x.test/a /b"),
    *("ONBUILD COPY --nosuch a /b", "RUN --mounts=target=/x true", "RUN --mount=type=secret true", "CMD --help"),
]
OPTIONS_TAKEN = [
    *("COPY --chmod=0755 --link a /b", "COPY --chmod=go=u,+rwX --parents=False a /b", "ARG M\nCOPY --chmod=$M a /b"),
    *(f"ADD --checksum={DIGEST} https://x.test/a /b", "RUN --mount=type=secret,source=a --network=none true"),
    *(f"ADD --checksum={COMMIT} --keep-git-dir https://x.test/a.git#{COMMIT} /b", "RUN a --nosuch"),
    *("ARG D\nADD --checksum=$D https://x.test/a /b", 'CMD ["--help"]', "HEALTHCHECK --retries=1 CMD a"),
]


@pytest.mark.parametrize("text", [*REFUSED, *OPTIONS_REFUSED])
def test_what_docker_refuses(text):
    assert told(f"{PINNED}{text}\n") == ["2 SKY005"]


@pytest.mark.parametrize("text", [*TAKEN, *OPTIONS_TAKEN])
def test_what_docker_takes(text):
    assert told(f"{PINNED}{text}\n") == []


@pytest.mark.parametrize(
    "text",
    [
        *("FROM Debian:12", "FROM debian:a/b", f"{PINNED[:-1]} AS 2nd", f"{PINNED[:-1]} AS a+b"),
        *("FROM a@sha256:abc", "FROM a:1@", f"{PINNED[:-1]}0", f"FROM a@md5:{DIGEST[-32:]}"),
    ],
)
def test_names_that_docker_refuses(text):
    assert told(text + "\n") == ["1 SKY005"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        *(("COPY --chown=nosuch a /b", ["2"]), ("ADD --chown=1000:staff a /b", ["2"])),
        *(("ARG U=me\nCOPY --chown=$U a /", ["3"]), ("ARG U\nCOPY --chown=$U a /b", [])),
        *(("COPY --chown=1000:1 a /b", []), ("COPY --chown=root:root a /b", []), ("COPY --chmod=1 a /", [])),
        *(("COPY etc /etc\nCOPY --chown=me a /b", []), ("ONBUILD COPY --chown=me a /b", [])),
        *(("FROM scratch AS b\nENV A=1\nFROM b\nCOPY --chown=me a /", ["5"]), (f"{PINNED}COPY --chown=me a /b", [])),
    ],
)
def test_an_empty_image_has_no_users(text, lines):
    assert [one.split()[0] for one in told(f"FROM scratch\n{text}\n") if "SKY005" in one] == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        *(("# escape=x\n", [1]), ("# syntax=a/b\n#ESCAPE=\\\\\n", [2]), ("# escape=`\n# escape=`\n", [2])),
        *(("# syntax=a/b\n# check=skip=all\n# Syntax=a/b\n", [3]), ("# escape=`\n\n# escape=`\n", [])),
        *(("# note\n# escape=x\n", []), ("# note=1\n# escape=x\n", []), ("# escape = \\\n", [])),
        *((f"# {'x' * 65533}\n", []), (f"\n# {'x' * 65534}\n", [2]), (f"# {'x' * 65533}\r\n", [1])),
    ],
)
def test_lines_that_docker_refuses(text, lines):
    found = list(check_lines(f"{text}{PINNED}".encode()))
    assert [(one.code, one.line) for one in found] == [("SKY005", line) for line in lines]


@pytest.mark.parametrize(
    ("platform", "is_taken"),
    [
        ("linux/arm64/v8", 1),
        ("$TARGETPLATFORM", 1),
        ("$UNSET", 1),
        ("linux/arm/$TARGETVARIANT", 1),
        ("a/b/c/d", 0),
        ("a/", 0),
    ],
)
def test_platforms_that_docker_refuses(platform, is_taken):
    text = PINNED.replace(" ", f" --platform={platform} ")
    assert told(f"ARG UNSET\n{text}") == ["2 SKY005"][is_taken:]


def test_an_arg_before_the_first_stage_that_docker_refuses():
    assert "1 SKY005" in told("ARG VERSION = 12\nFROM debian:$VERSION\n")


def test_an_option_is_told_with_what_it_takes():
    (unknown, bare, mode) = lint(f"{PINNED}COPY \\\n --form=b \\\n --chown \\\n --chmod=x a /b\n")
    assert [one.line for one in (unknown, bare, mode)] == [3, 4, 5]
    assert unknown.message == "COPY has no option `--form`: docker refuses it, and the build fails"
    assert (unknown.instead, bare.instead) == ("`--from`", "`--chown=...`")
    assert mode.message == "`--chmod=x` has a value that cannot be: docker refuses it, and the build fails"


def test_it_is_told_what_to_write():
    (found,) = lint(f"{PINNED}SHELL /bin/bash\n")
    assert found.message == "SHELL takes the JSON form alone: docker refuses it, and the build fails"
    assert found.instead == '`SHELL ["/bin/bash", "-c"]`'


def test_the_form_of_a_digest_is_told():
    (found,) = lint("FROM a@sha256:abc\n")
    assert found.message == "`a@sha256:abc` cannot name an image: the build fails"
    assert found.instead == "`sha256:` and 64 digits, of `0` to `9` and `a` to `f`, behind the `@`"
