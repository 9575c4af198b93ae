"""An image is published when a worker finds, loads and runs it: here with curl and docker alone, as AWE does it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.engine import docker
from tests.support.project import Project

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
    project.snakemake("publish_all") if way == "snakemake" else project.publish("--all")
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
    project.publish("--all")
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


def test_a_private_image_is_for_those_with_a_token(tmp_path: Path, namespace: str) -> None:
    project = Project(tmp_path, namespace)
    token = json.loads(project.skyport("user", "add", "anna", "--json").stdout)["token"]
    name = project.name("other")
    with served(project) as url:
        anna = {"SHOCK_URL": url, "KB_AUTH_TOKEN": token}
        project.publish(name, "--private", **anna)
        assert project.receipt("other")["readable_by"] == "listed users"
        assert json.loads(project.skyport("resolve", name, "--json", **anna).stdout)["name"] == name
        nobody = project.skyport("resolve", name, check=False, SHOCK_URL=url)
        assert (nobody.returncode, "finds no image" in nobody.stderr) == (1, True)
        assert project.skyport("verify", check=False, **anna).returncode == 0

        project.publish(name, **anna)  # the same image, now for everyone
        assert project.receipt("other")["readable_by"] == "everyone"
        project.skyport("resolve", name, SHOCK_URL=url)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(tmp_path: Path, namespace: str) -> None:
    project = Project(tmp_path, namespace)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "store")}
    told = json.loads(project.skyport("publish", "--all", "--dry-run", "--json").stdout)
    assert [row["next"] for row in told["dry_run"]] == ["build and publish it"] * 3
    assert json.loads(project.skyport("ls", "--json").stdout) == {"images": []}
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "store")} == before
    project.skyport("publish", project.name("tool"))
    (tmp_path / "images/tool/data/deep/file").write_text("changed")
    taken = project.skyport("publish", project.name("tool"), "--dry-run", check=False)
    assert (taken.returncode, "is published already, as another image" in taken.stdout) == (1, True)
