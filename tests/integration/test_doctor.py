"""`doctor` answers within 5 s, whatever is down, and whatever accepts connections and never answers."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import SKYPORT, Done, environment
from tests.support.lab import Lab, served
from tests.support.small_disk import fill, small_disk
from tests.support.timing import PATIENCE, allowance

SECONDS = 5.0


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen where connections are accepted, and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def silent_engine(tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine.sock"))
        listener.listen()
        yield f"unix://{tmp_path}/engine.sock"


def findings(done: Done) -> dict[str, dict[str, Any]]:
    assert done.code in (0, 1), done.log
    # It neither tries again nor sends anybody to itself.
    assert "again" not in done.log and "doctor" not in done.out
    return {finding["what"]: finding for finding in json.loads(done.out)["findings"]}


def in_time(lab: Lab, **variables: str) -> dict[str, dict[str, Any]]:
    limit = allowance(SECONDS, lambda: lab.run("--version"))
    began = time.monotonic()
    found = findings(lab.run("doctor", "--json", **variables))
    assert time.monotonic() - began < limit
    return found


@pytest.mark.slow
def test_an_engine_and_a_shock_that_never_answer(lab: Lab, silent: str, silent_engine: str) -> None:
    found = in_time(lab, SHOCK_URL=silent, DOCKER_HOST=silent_engine, KB_AUTH_TOKEN="a")
    assert {what: finding["detail"] for what, finding in found.items() if not finding["ok"]} == {
        "engine": f"nothing came from {silent_engine} within 3.5 s. Restart it, or set DOCKER_HOST.",
        "Shock": f"{silent} has not answered within 3.5 s. Ask its administrator.",
        "token": f"not checked, as {silent} has not answered within 3.5 s.",
    }
    # What does answer is told.
    assert found["disk of results"]["ok"]


def test_what_refuses_connections_is_said_at_once(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = in_time(lab, SHOCK_URL=url, DOCKER_HOST=f"unix://{tmp_path}/none", KB_AUTH_TOKEN="a")
    refused = f"Shock at {url} cannot be reached: Connection refused."
    assert (found["Shock"]["detail"], found["token"]["detail"]) == (refused, refused)
    assert found["engine"]["detail"] == (
        f"no Docker engine answers at unix://{tmp_path}/none: No such file or directory. Start it, or set DOCKER_HOST."
    )


ON_A_MACHINE_WHOSE_NAME_SERVER_IS_SILENT = """
    import fcntl, os, socket, struct, subprocess, sys

    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    SIOCSIFFLAGS, UP = 0x8914, 1
    fcntl.ioctl(ours, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
    ours.bind(("127.0.0.1", 53))
    with open("resolv.conf", "w") as file:
        file.write("nameserver 127.0.0.1\\n")
    subprocess.run(["mount", "--bind", "resolv.conf", os.path.realpath("/etc/resolv.conf")], check=True)
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""


@pytest.mark.slow
def test_a_name_server_that_never_answers(lab: Lab) -> None:
    variables = environment(**lab.variables, SHOCK_URL="http://shock.example.org", KB_AUTH_TOKEN="a")
    without_names = ["unshare", "--mount", "--net", sys.executable, "-c", textwrap.dedent(
        ON_A_MACHINE_WHOSE_NAME_SERVER_IS_SILENT
    )]  # fmt: skip
    possible = subprocess.run([*without_names, "true"], cwd=lab.folder, capture_output=True, text=True, check=False)
    if possible.returncode:
        reason = f"cannot have a name server of its own, which takes root: {possible.stderr}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    limit = allowance(
        SECONDS, lambda: subprocess.run([*without_names, SKYPORT, "--version"], cwd=lab.folder, check=True)
    )
    began = time.monotonic()
    done = subprocess.run(
        [*without_names, SKYPORT, "doctor", "--json"], cwd=lab.folder, env=variables, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert time.monotonic() - began < limit
    found = findings(Done(done.returncode, done.stdout, done.stderr))
    assert found["Shock"]["detail"].startswith("http://shock.example.org has not answered within 3.5 s.")


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", size=1 << 20) as disk:
        lab = Lab(disk / "lab")
        fill(disk)
        found = in_time(lab)
    for what in ("disk of results", "disk of the embedded Shock"):
        assert not found[what]["ok"]
        assert found[what]["detail"].startswith("0.0 GB are free at ")
    assert found["Shock"]["ok"]


def test_a_broken_list_hides_nothing_but_what_it_says(lab: Lab) -> None:
    (lab.folder / "images.yaml").write_text("images:\n- {nam: a}\n")
    found = in_time(lab)
    assert "images.yaml, line 2" in found["image list"]["detail"]
    assert "did you mean `name`?" in found["image list"]["detail"]
    assert found["Shock"]["detail"] == "not checked, as the image list says which one is meant"
    assert "token" not in found
    assert found["disk of results"]["ok"]
    told = lab.run("doctor").out
    assert "WRONG  image list: images.yaml, line 2, field nam: unknown; did you mean `name`?\n" in told
    assert "\n     2 | - {nam: ...\n       |    ^^^" in told
    with served(lab.folder / "..") as (server, _):
        found = in_time(lab, SHOCK_URL=server.url, KB_AUTH_TOKEN="")
        assert found["Shock"] == {"what": "Shock", "ok": True, "detail": f"{server.url} answers"}


def test_a_variable_that_is_no_address(lab: Lab) -> None:
    found = in_time(lab, SHOCK_URL="shock.example.org")
    assert found["Shock"]["detail"].startswith("the variable SHOCK_URL")
    assert "token" not in found


def test_a_list_that_is_right_is_counted(lab: Lab) -> None:
    lab.write(b"")
    assert in_time(lab)["image list"] == {"what": "image list", "ok": True, "detail": "1 image"}
