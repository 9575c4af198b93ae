"""`.ci/with-engine` on machines that have an engine already: found wherever it listens, and never harmed.

Each machine is a set of namespaces: it has its own network, processes and /run.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT
from tests.support.timing import PATIENCE

MACHINE = r"""
set -euo pipefail
ip link set lo up
mount -t tmpfs none /run
engine() { # FOLDER OPTIONS...; start a dockerd that has its things in a folder, and wait until it answers
    local folder=$1 log=$1/log
    shift
    mkdir -p "$folder"
    dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --iptables=false \
        --ip6tables=false --ip-forward=false "$@" >"$log" 2>&1 &
    until DOCKER_HOST=unix://$folder/sock docker version >/dev/null 2>&1; do
        kill -0 $! || { cat "$log"; exit 1; }
        sleep 0.1
    done
}
docker0() { grep -o docker0 /proc/self/net/dev || echo "no docker0"; }
"""
SETTINGS = '{"hosts": ["unix:///run/other/sock"]}'
BRIDGED = "engine /run/other --host unix:///run/other/sock"
BRIDGELESS = f"{BRIDGED} --bridge=none"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose private engine has data of its own."""
    if os.geteuid() or not all(map(shutil.which, ("dockerd", "unshare", "ip"))):
        message = "this needs root, dockerd, and the commands unshare and ip"
        pytest.fail(message) if "CI" in os.environ else pytest.skip(message)
    shutil.copytree(CHECKOUT / ".ci", tmp_path / "checkout/.ci")
    return tmp_path / "checkout"


def on_a_machine(checkout: Path, *commands: str) -> tuple[int, str, str]:
    """Run shell commands on a machine of their own; return the exit code and what they printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "bash", "-c", "\n".join((MACHINE, *commands))],
        cwd=checkout, env={**kept, "HOME": str(checkout)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


SHOW = '.ci/with-engine bash -c "docker version --format {{.Server.Version}} >/dev/null && echo \\$DOCKER_HOST"'


@pytest.mark.parametrize(
    "start",
    [
        BRIDGED,
        "engine /run/other -H unix:///run/other/sock",
        f"echo '{SETTINGS}' >/run/daemon.json; engine /run/other --config-file /run/daemon.json",
    ],
    ids=["option", "short option", "settings"],
)
def test_an_engine_that_listens_elsewhere_is_found(checkout: Path, start: str) -> None:
    code, out, log = on_a_machine(checkout, start, SHOW)
    assert (code, out) == (0, "unix:///run/other/sock\n"), log
    assert log == "Using the Docker engine at unix:///run/other/sock\n"


def test_the_engine_of_dockers_context_comes_first(checkout: Path) -> None:
    code, out, log = on_a_machine(
        checkout, BRIDGELESS, "engine /run/chosen --host unix:///run/chosen/sock --bridge=none",
        "docker context create lab --docker host=unix:///run/chosen/sock >&2", "docker context use lab >&2", SHOW,
    )  # fmt: skip
    assert (code, out) == (0, "unix:///run/chosen/sock\n"), log


def test_beside_an_engine_without_a_bridge_that_cannot_be_reached_a_private_one_is_started(checkout: Path) -> None:
    code, out, log = on_a_machine(checkout, BRIDGELESS, "rm /run/other/sock", SHOW, "kill -0 $(cat /run/other/pid)")
    assert (code, out) == (0, "unix:///run/skyport-wf-engine/docker.sock\n"), log


def test_an_engine_with_a_bridge_that_cannot_be_reached_keeps_it(checkout: Path) -> None:
    code, out, log = on_a_machine(checkout, BRIDGED, "rm /run/other/sock", f"{SHOW} || echo failed", "docker0")
    assert (code, out) == (0, "failed\ndocker0\n"), log
    assert "A dockerd runs on this machine, and answers nowhere where it was looked for:\n  process " in log
    assert "--host unix:///run/other/sock" in log
    assert "Set DOCKER_HOST to where it listens" in log


def test_a_private_engine_beside_a_bridge_would_take_it_away(checkout: Path) -> None:
    """The reason for the refusal above; where this fails, it can go."""
    code, out, log = on_a_machine(
        checkout, BRIDGED, "docker0", "engine /run/private --host unix:///run/private/sock --bridge=none", "docker0"
    )
    assert (code, out) == (0, "docker0\nno docker0\n"), log
