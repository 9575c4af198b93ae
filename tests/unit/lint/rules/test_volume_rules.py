"""What lint says of what is written into a volume."""

import pytest

from skyport_wf.lint.dockerfile import lint_script
from tests.support.dockerfile_lint import PINNED, lint, told


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


@pytest.mark.parametrize(
    ("run", "lines"),
    [
        ("echo 10.0.0.1 db >>/etc/hosts", [2]),
        ("true && \\\n  sed -i s/a/b/ /etc/hosts", [3]),
        ("echo 10.0.0.1 db | tee -a /etc/hosts", [2]),
        ("cp my.conf /etc/resolv.conf", [2]),
        ("sh -c 'echo me >/etc/hostname'", [2]),
        ("cat /etc/hosts >/tmp/hosts && cp /etc/resolv.conf /tmp/ && sed s/a/b/ /etc/hosts", []),
        ("awk 1 /etc/hosts >/etc/hosts.txt", []),
    ],
)
def test_what_is_written_to_a_file_that_is_the_engines(run, lines):
    assert told(f"{PINNED}RUN {run}\n") == [f"{line} SKY063" for line in lines]
    script = [one for one in lint_script(f"\n{run}\n") if one.code == "SKY063"]
    assert [one.line for one in script] == lines
