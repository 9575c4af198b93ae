"""What `make demo` shows: publish three images, fetch one as an AWE worker does, run it, list what is published.

Needs DOCKER_HOST, and the commands of `.venv` in PATH. All it writes is in `.engine/`: the checkout stays as it is.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = CHECKOUT / ".engine" / "demo"
LOG = PROJECT / "demo.log"
READS = CHECKOUT / "examples" / "demo" / "reads.fa"
IMAGE = "skyport/velvet:1.2.10"
ASSEMBLE = """
cat > /tmp/reads.fa
{ velveth /tmp/assembly 31 -fasta -short /tmp/reads.fa && velvetg /tmp/assembly -cov_cutoff auto; } >&2 &&
cat /tmp/assembly/contigs.fa
"""
ANSWER_LIMIT = 30.0
WIDTH = 52


class StepFailedError(Exception):
    """A step of the demo did not do what it should; the log has the rest."""


def main() -> int:
    """Run the steps, one line each; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # What a lab has there is not for a demo to write to.
    for name in ("SHOCK_URL", "KB_AUTH_TOKEN"):
        os.environ.pop(name, None)
    os.environ["SKYPORT_DATA"] = str(CHECKOUT / ".engine" / "shock")
    try:
        with only_one():
            make_project()
            run_steps()
    except StepFailedError as error:
        print(f"\n\n{error} From {LOG.relative_to(CHECKOUT)}:\n\n{what_failed()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def what_failed() -> str:
    """Return the part of the log that tells: what skyport-wf said before Snakemake gave up, else the end."""
    log = LOG.read_text(errors="replace")
    said = re.search(r"^skyport-wf: .*?(?=^RuleException:)", log, re.DOTALL | re.MULTILINE)
    return said[0].strip() if said else "\n".join(log.splitlines()[-25:])


def run_steps() -> None:
    """Publish, serve, fetch back, run, list."""
    step("Publish three images: snakemake publish_all", publish)
    with serving() as url:
        step(f"Remove {IMAGE} from the engine", remove_image)
        step(f"Fetch it from {url}, as AWE does", lambda: pull_image(url))
        step("Run velvet from the fetched image", assemble)
        print(f"\nPublished, and served at {url} while this ran:\n", flush=True)
        print(run("skyport-wf", "status").strip())
    receipts = (PROJECT / "results" / "skyport").relative_to(CHECKOUT)
    print(f"\nReceipts: {receipts}/*/receipt.json   Log: {LOG.relative_to(CHECKOUT)}")


def step(title: str, action: Callable[[], str]) -> None:
    """Do one step, with a line that says what, then how it ended and how long it took."""
    started = time.monotonic()
    print(f"{title:<{WIDTH}}", end="", flush=True)
    result = action()
    print(f"{result:<{WIDTH - 16}} {time.monotonic() - started:5.1f} s", flush=True)


def progress(text: str) -> None:
    """Say how far the step is, on a terminal; what comes next overwrites it."""
    if sys.stdout.isatty():
        print(text + "\b" * len(text), end="", flush=True)


@contextmanager
def only_one() -> Iterator[None]:
    """Wait until no other demo runs in this checkout. Unlike Snakemake's lock, this one ends with a killed process."""
    PROJECT.mkdir(parents=True, exist_ok=True)
    with (PROJECT / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another demo in this checkout to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_project() -> None:
    """Copy what is published: receipts and lock file belong to the demo's own Shock, not to the checkout."""
    LOG.write_text("")
    shutil.rmtree(PROJECT / "images", ignore_errors=True)
    shutil.copytree(CHECKOUT / "images", PROJECT / "images")
    shutil.copy(CHECKOUT / "images.yaml", PROJECT)


def publish() -> str:
    """Publish all images of images.yaml; return what was done."""
    command = ["snakemake", "publish_all", "--cores", "2", "--snakefile", str(CHECKOUT / "Snakefile")]
    command += ["--nolock", "--rerun-incomplete"]  # go on after a demo that was killed
    done = ""
    with (
        LOG.open("a") as log,
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            if match := re.match(r"(\d+ of \d+) steps", line):
                done = match[1]
                progress(f"{done} steps")
    if process.returncode:
        raise StepFailedError(f"snakemake publish_all ended with exit code {process.returncode}.")
    return "done" if done else "published already"


@contextmanager
def serving() -> Iterator[str]:
    """Serve the store on a free port; yield its address; stop it at the end."""
    url = f"http://127.0.0.1:{free_port()}"
    with LOG.open("a") as log:
        server = subprocess.Popen(
            ["skyport-wf", "serve", "--port", url.rpartition(":")[2]], cwd=PROJECT, stdout=log, stderr=log
        )
    try:
        wait_for_answer(url, server)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(ANSWER_LIMIT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_answer(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Return when the server answers. Raises StepFailedError if it ends, or says nothing in time."""
    deadline = time.monotonic() + ANSWER_LIMIT
    while server.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(url, timeout=ANSWER_LIMIT)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise StepFailedError("skyport-wf serve does not answer.")


def remove_image() -> str:
    """Remove the image, so that nothing but Shock has it."""
    run("docker", "image", "rm", "--force", IMAGE)
    return "done"


def pull_image(url: str) -> str:
    """Find the node as AWE does, download and load it; return the image's id."""
    pulled = json.loads(run("skyport-wf", "pull", IMAGE, "--json", SHOCK_URL=url))
    if not pulled["downloaded"]:
        return "the engine has it under another name"
    return f"{pulled['downloaded'] / 1e6:.1f} MB, image {pulled['image_id'].removeprefix('sha256:')[:12]}"


def assemble() -> str:
    """Assemble the reads in a container without network; return what came out."""
    reads = READS.read_text()
    contigs = run(
        "docker", "run", "--rm", "--interactive", "--network", "none", IMAGE, "bash", "-c", ASSEMBLE, stdin=reads
    )
    bases = sum(len(line) for line in contigs.splitlines() if not line.startswith(">"))
    count = contigs.count(">")
    if not count:
        raise StepFailedError("velvet assembled nothing.")
    return f"{reads.count('>')} reads -> {count} contig{'s'[: count != 1]}, {bases} bases"


def run(*command: str, stdin: str = "", **variables: str) -> str:
    """Run a command in the demo's project and return what it printed; its errors go to the log.

    Raises StepFailedError if it fails.
    """
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command[:4])}\n")
        log.flush()
        done = subprocess.run(
            command,
            check=False,
            cwd=PROJECT,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **variables},
        )
    if done.returncode:
        raise StepFailedError(f"`{' '.join(command[:4])}` ended with exit code {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
