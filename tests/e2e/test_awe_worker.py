"""An image is published when a worker finds, loads and runs it: here with curl and docker alone, as AWE does it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import docker
from tests.e2e.project import Project

WRAPPER = "#!/bin/bash\ncat /data/deep/file\n"


@contextmanager
def served(project: Project) -> Iterator[str]:
    """Run `skyport-wf serve` on the project's store and yield its URL."""
    with subprocess.Popen(
        [project.commands / "skyport-wf", "serve", "--port", "0", "--json"],
        env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stdout
            yield next(line.split('"')[3] for line in server.stdout if '"url"' in line)
        finally:
            server.terminate()
    assert server.returncode == 0


def curl(url: str) -> bytes:
    return subprocess.run(["curl", "--silent", "--fail", "--show-error", url], check=True, capture_output=True).stdout


@pytest.mark.parametrize("way", ["snakemake", "publish"])
def test_a_worker_finds_loads_and_runs_what_was_published(tmp_path: Path, namespace: str, way: str) -> None:
    project = Project(tmp_path, namespace)
    (tmp_path / "Snakefile").write_text('import skyport_wf\n\ninclude: skyport_wf.snakefile("publish")\n')
    project.snakemake("publish_all") if way == "snakemake" else project.skyport("publish", "--all")
    name = project.name("derived")
    docker("image", "rm", "--force", *(project.name(image) for image in ("derived", "tool", "other")))

    with served(project) as url:
        answer = json.loads(curl(f"{url}/node/?query&type=dockerimage&name={quote(name)}"))
        (node,) = answer["data"]
        assert answer["total_count"] == 1
        (tmp_path / "image.tar.gz").write_bytes(curl(f"{url}/node/{node['id']}?download"))
    subprocess.run(["gzip", "--test", tmp_path / "image.tar.gz"], check=True)
    docker("load", "--input", str(tmp_path / "image.tar.gz"))

    image_id = node["attributes"]["id"]
    assert docker("image", "inspect", "--format", "{{.Id}}", image_id).strip() == image_id
    docker("tag", image_id, name)
    (tmp_path / "wrapper.sh").write_text(WRAPPER)
    command = ["run", "--rm", "--network", "none", "--volume", f"{tmp_path}/wrapper.sh:/workdir/wrapper.sh"]
    assert docker(*command, name, "/bin/bash", "/workdir/wrapper.sh") == "derived"


def test_pull_does_the_same_and_nothing_the_second_time(tmp_path: Path, namespace: str) -> None:
    project = Project(tmp_path, namespace)
    project.skyport("publish", "--all")
    name = project.name("other")
    docker("image", "rm", "--force", name)
    with served(project) as url:
        pulled = json.loads(project.skyport("pull", name, "--json", SHOCK_URL=url).stdout)
        assert pulled["downloaded"] == project.receipt("other")["size"]
        again = json.loads(project.skyport("pull", name, "--json", SHOCK_URL=url).stdout)
        assert again["downloaded"] == 0
    assert docker("run", "--rm", name, "/bin/bash", "-c", "cat /data/deep/file") == "other"


def test_publishing_over_http_needs_the_token_and_never_shows_it(tmp_path: Path, namespace: str) -> None:
    project = Project(tmp_path, namespace)
    (tmp_path / "Snakefile").write_text('import skyport_wf\n\ninclude: skyport_wf.snakefile("publish")\n')
    added = json.loads(project.skyport("user", "add", "anna", "--json").stdout)
    token = added["token"]
    with served(project) as url:
        variables = {"SHOCK_URL": url, "KB_AUTH_TOKEN": token}
        project.snakemake("publish_all", "--verbose", "--printshellcmds", **variables)
        said = [
            project.skyport(*command, check=False, **variables)
            for command in (
                ["status", "--verbose"], ["doctor", "--verbose"], ["publish", "--all", "--verbose"], ["ls"], ["verify"],
                ["publish", "no/such:1"], ["resolve", "no/such:1"], ["build", "x", "--record", "x"],
            )
        ]  # fmt: skip
        changed = (tmp_path / "images/tool/data/deep/file").write_text("changed")
        failed = project.run("snakemake", "--cores", "1", "publish_all", "--verbose", check=False, **variables)
        assert changed and failed.returncode == 1
    everything = [text for done in (*said, failed) for text in (done.stdout, done.stderr)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "receipt.json" for path in files)
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        assert token.encode() not in path.read_bytes(), path
    for text in everything:
        assert token not in text
