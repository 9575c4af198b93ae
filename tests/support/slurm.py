"""A Slurm of one node on this machine: Debian's munged, slurmctld and slurmd, with all their files in one folder."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.timing import PATIENCE, wait_until

CONFIG = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=node Default=YES State=UP
"""
DAEMONS = ("munged", "slurmctld", "slurmd")
"""Debian's packages munge and slurm-wlm have these, and the commands."""


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens at."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running_cluster() -> Iterator[dict[str, str]]:
    """Run a cluster, and yield the variables with which Slurm's commands find it."""
    # munged makes a socket only where all may go, and only with a short path.
    with TemporaryDirectory(prefix="slurm-") as folder:
        yield from _run_in(Path(folder))


def _run_in(folder: Path) -> Iterator[dict[str, str]]:
    controller, daemon = free_ports(2)
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, controller=controller, daemon=daemon))
    # Snakemake's plugin takes Slurm's variables off its jobs, and srun would then look for the file in /etc.
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{srun.parent}:{os.environ['PATH']}"}
    munge = [
        f"--{option}={folder / name}"
        for option, name in {
            "socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "log-file": "munge.log",
            "seed-file": "munge.seed",
        }.items()
    ]  # fmt: skip
    with ExitStack() as running:
        for command in (["munged", "--foreground", *munge], ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", "node"]):
            process = subprocess.Popen(
                command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            running.callback(process.wait, PATIENCE)
            running.callback(process.terminate)
            if command[0] == "munged":
                wait_until((folder / "munge.socket").exists)
        wait_until(lambda: node_state(variables) == "idle")
        yield variables


def node_state(variables: dict[str, str]) -> str:
    asked = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env={**os.environ, **variables}, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip
    return asked.stdout.strip()
