"""What lint says of images that have no bash."""

import pytest

from tests.support.dockerfile_lint import DIGEST, lint, told

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
