"""The programs that people pull images with, on a store that is served: the image id is the published one."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import open_archive
from tests.support.commands import COMMANDS
from tests.support.docker_archives import sha256
from tests.support.engine import config_digest, docker, own_namespace, uses_containerd_store, write_image_context
from tests.support.engines import EngineUnderTest, find_program
from tests.support.lab import Lab, ServedShock, make_user
from tests.support.podman_service import PodmanService
from tests.support.timing import PATIENCE

DATA = "what the image holds"


class Site:
    """A served store with a public and a private image, and a gateway to it."""

    def __init__(self, folder: Path, server: ServedShock, gateway: ServedShock, token: str) -> None:
        self.folder = folder
        self.token = token
        self.registry = server.url.removeprefix("http://")
        self.gateway = gateway.url.removeprefix("http://")
        self.receipts: dict[str, Any] = {}
        self._names = 0

    @property
    def image_id(self) -> str:
        return str(self.receipts["tool"]["image_id"])

    def new_name(self, tool: str) -> str:
        """Return a name in the same registry that nothing is published under."""
        self._names += 1
        return f"{tool.partition('/')[0]}/pushed/tool-{self._names}:1.0"

    def published_id(self, name: str) -> str:
        """Return the id of the image that an AWE worker gets for what was pushed under a name."""
        registry, _, pushed = name.partition("/")
        return str(self.receipt_of(pushed, registry)["image_id"])

    def receipt_of(self, name: str, registry: str, *options: str) -> Any:
        """Return the receipt of a published image, as somebody without a token gets it."""
        lab = Lab(self.folder / "lab", SHOCK_URL=f"http://{self.registry}", SKYPORT_REGISTRY=registry)
        return lab.do("receipt", name, *options)


@pytest.fixture(scope="module")
def site(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    token = make_user(folder / "store", "alice")
    # Of the servers, which get the variables of the tests.
    patch = pytest.MonkeyPatch()
    patch.setenv("SKYPORT_CACHE", str(folder / "cache"))
    with (
        own_namespace() as namespace,
        ServedShock(folder / "store") as server,
        ServedShock(folder / "gateway", gateway_to=server.url) as gateway,
    ):
        site = Site(folder, server, gateway, token)
        lab = Lab(folder / "lab", token, SHOCK_URL=server.url)
        for name, data in (("tool", DATA), ("secret", "secret")):
            write_image_context(lab.folder / name, data=data, own_layers=True)
        lab.write_list(
            f"name: '{namespace}/tool:1.0', dockerfile: tool/Dockerfile",
            f"name: '{namespace}/secret:1.0', dockerfile: secret/Dockerfile, public: false",
        )
        for receipt in lab.do("publish", "--all")["published"]:
            site.receipts[receipt["name"].split("/")[1].removesuffix(":1.0")] = receipt
        yield site
    patch.undo()


@pytest.fixture(params=["registry", "gateway"])
def tool(request: pytest.FixtureRequest, site: Site) -> str:
    """The public image's address in a registry."""
    return f"{getattr(site, request.param)}/{site.receipts['tool']['name']}"


through_the_gateway = pytest.mark.parametrize("tool", ["gateway"], indirect=True)
"""Where redirects are all that a client could stumble over."""


def run(*command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def published_manifest(site: Site) -> Any:
    """Return the manifest of the public image, as curl gets it."""
    return json.loads(run("curl", "-sSf", manifest_url(site)))


def manifest_url(site: Site) -> str:
    repository, _, tag = site.receipts["tool"]["name"].rpartition(":")
    return f"http://{site.registry}/v2/{repository}/manifests/{tag}"


@pytest.mark.docker_only
def test_docker(each_engine: EngineUnderTest, site: Site, tool: str, tmp_path: Path) -> None:
    if Path("/sys/class/net/docker0").exists() and "docker.sock" not in each_engine.variables["DOCKER_HOST"]:
        pytest.skip("an engine beside the system's own has no network")
    engine = each_engine
    digest = json.loads(run("curl", "-sSf", manifest_url(site)))["config"]["digest"]
    assert digest == site.image_id
    # By name, not by id: other tests have the same image from the other registry at the same time.
    mine = {tool}
    try:
        engine.docker("pull", "--quiet", tool)
        assert engine.read(tool, "/data/deep/file") == DATA
        assert engine.config_digest(tool) == site.image_id
        pushed = site.new_name(tool)
        mine.add(pushed)
        engine.docker("tag", tool, pushed)
        host, config = tool.partition("/")[0], ("--config", str(tmp_path / "config"))
        engine.docker(*config, "login", "--username=x", f"--password={site.token}", host)
        engine.docker(*config, "push", "--quiet", pushed)
        assert site.published_id(pushed) == site.image_id
        engine.remove(pushed)
        inspected = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{tool}"))
        pinned = f"{tool.rpartition(':')[0]}@{inspected['Digest']}"
        assert pinned in json.loads(engine.docker("image", "inspect", "--format", "{{json .RepoDigests}}", tool))
        mine.add(pinned)
        engine.remove(tool)
        engine.docker("pull", "--quiet", pinned)
        assert engine.read(pinned, "/data/deep/file") == DATA
    finally:
        engine.remove(*mine)


def test_docker_with_a_login(site: Site, tmp_path: Path) -> None:
    secret = f"{site.registry}/{site.receipts['secret']['name']}"
    config = ["--config", str(tmp_path)]

    def ask(*command: str, password: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *config, *command], input=password, capture_output=True, text=True, check=False
        )

    assert ("not found" if uses_containerd_store() else "manifest unknown") in ask("pull", secret).stderr
    login = ("login", "--username", "whoever", "--password-stdin", site.registry)
    assert "unauthorized" in ask(*login, password="wrong").stderr
    assert ask(*login, password=site.token).stdout.strip() == "Login Succeeded"
    pulled = ask("pull", "--quiet", secret)
    assert pulled.returncode == 0, pulled.stderr
    assert config_digest(secret) == site.receipts["secret"]["image_id"]
    ask("logout", site.registry)
    docker("image", "rm", "--force", secret)
    assert ask("pull", secret).returncode == 1


def test_podman(site: Site, tool: str) -> None:
    with PodmanService() as service:
        service.podman("pull", "--quiet", "--tls-verify=false", tool)
        assert service.inspect(tool) == site.image_id
        assert service.podman("run", "--rm", "--network=host", tool, "cat", "/data/deep/file") == DATA
        secret = f"{site.registry}/{site.receipts['secret']['name']}"
        auth = f"--authfile={service.folder}/auth.json"
        login = ("login", "--tls-verify=false", auth, "--username=x", "--password-stdin", site.registry)
        service.podman(*login, stdin=site.token)
        service.podman("pull", "--quiet", "--tls-verify=false", auth, secret)
        assert service.inspect(secret) == site.receipts["secret"]["image_id"]
        pushed = site.new_name(tool)
        service.podman("push", "--quiet", "--tls-verify=false", f"--creds=x:{site.token}", tool, pushed)
        assert site.published_id(pushed) == site.image_id


@through_the_gateway
def test_buildah(site: Site, tool: str, tmp_path: Path) -> None:
    buildah = ("buildah", f"--root={tmp_path}/root", f"--runroot={tmp_path}/run", "--storage-driver=vfs")
    pulled = run(*buildah, "pull", "--quiet", "--tls-verify=false", tool).strip()
    assert f"sha256:{pulled}" == site.image_id
    name = site.new_name(tool)
    run(*buildah, "push", "--quiet", "--tls-verify=false", f"--creds=x:{site.token}", tool, f"docker://{name}")
    assert site.published_id(name) == site.image_id


def test_skopeo(site: Site, tool: str, tmp_path: Path) -> None:
    inspected = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{tool}"))
    manifest = published_manifest(site)
    assert inspected["Layers"] == [layer["digest"] for layer in manifest["layers"]]
    assert inspected["RepoTags"] == ["1.0"]
    listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", f"docker://{tool.rpartition(':')[0]}"))
    assert listed["Tags"] == ["1.0"]
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{tool}", f"docker-archive:{tmp_path}/a.tar:lab/x:1")
    with open_archive(tmp_path / "a.tar") as stream:
        assert inspect_archive(stream).image_id == site.image_id
    repository = tool.rpartition(":")[0]
    run("skopeo", "sync", "--src-tls-verify=false", "--src=docker", "--dest=dir", repository, tmp_path / "mirror")
    (mirrored,) = (tmp_path / "mirror").rglob("manifest.json")
    assert json.loads(mirrored.read_bytes()) == manifest
    pushed = site.new_name(tool)
    creds = f"--dest-creds=x:{site.token}"
    dest = ("--dest-tls-verify=false", creds)
    run("skopeo", "copy", *dest, f"dir:{mirrored.parent}", f"docker://{pushed}")
    assert site.published_id(pushed) == site.image_id
    again = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{pushed}"))
    assert again["Digest"] == inspected["Digest"]
    zstd = ("--dest-compress-format=zstd", "--dest-compress", "--format=oci")
    run("skopeo", "copy", *dest, *zstd, f"docker-archive:{tmp_path}/a.tar", f"docker://{site.new_name(tool)}")
    latest = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{repository}:latest"))
    assert latest["Digest"] == inspected["Digest"]


@through_the_gateway
def test_umoci_unpacks_what_skopeo_fetched(site: Site, tool: str, tmp_path: Path) -> None:
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{tool}", f"oci:{tmp_path}/layout:x")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:x", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/data/deep/file").read_text() == DATA


@contextmanager
def running_containerd(folder: Path) -> Iterator[tuple[str, ...]]:
    """Run a containerd of the test's own; yield the command to ask it."""
    (folder / "config.toml").write_text(
        f"""
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/sock"
"""
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["containerd", "--config", str(folder / "config.toml")], stdout=log, stderr=log)
    try:
        limit = time.monotonic() + PATIENCE
        while not (folder / "sock").exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < limit
            time.sleep(0.05)
        yield ("ctr", "--address", f"{folder}/sock")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@through_the_gateway
def test_ctr(site: Site, tool: str, tmp_path: Path) -> None:
    with running_containerd(tmp_path) as ctr:
        run(*ctr, "images", "pull", "--plain-http", "--snapshotter", "native", tool)
        assert tool in run(*ctr, "images", "ls", "--quiet").split()
        secret = f"{site.registry}/{site.receipts['secret']['name']}"
        fetch = (*ctr, "content", "fetch", "--plain-http")
        assert subprocess.run([*fetch, secret], capture_output=True, check=False).returncode
        run(*fetch, "--user", f"x:{site.token}", secret)
        assert site.receipts["secret"]["image_id"] in run(*ctr, "content", "ls", "--quiet").split()


TOOL = """
cwlVersion: v1.2
class: CommandLineTool
hints: {}
baseCommand: [cat, /data/deep/file]
inputs: []
stdout: output.txt
outputs:
  text: stdout
"""


@through_the_gateway
def test_cwltool_pulls_and_runs(site: Site, tool: str, tmp_path: Path) -> None:
    """As the receipt has it, ready to paste."""
    registry, _, name = tool.partition("/")
    use = site.receipt_of(name, registry)["use"]
    (tmp_path / "tool.cwl").write_text(TOOL.format(json.dumps(use["cwl_pull"])))
    try:
        run(COMMANDS / "cwltool", "--outdir", tmp_path / "out", tmp_path / "tool.cwl")
        assert (tmp_path / "out/output.txt").read_text() == DATA
        assert config_digest(use["oci"]) == site.image_id
    finally:
        docker("image", "rm", "--force", use["oci"])


def todays(program: str) -> Path:
    """Return a program that Debian 12 does not have."""
    found = find_program(program)
    if not found:
        pytest.skip(
            f"no {program} here: `make test` makes a root of Debian sid for it, as root on a Debian-like system"
        )
    return found


def test_crane(site: Site, tool: str, tmp_path: Path) -> None:
    crane = todays("crane")
    assert f"sha256:{sha256(run(crane, 'config', '--insecure', tool).encode())}" == site.image_id
    run(crane, "validate", "--insecure", "--remote", tool)
    host, _, repository = tool.removesuffix(":1.0").partition("/")
    assert repository in run(crane, "catalog", "--insecure", host).split()
    run(crane, "pull", "--insecure", tool, tmp_path / "pulled.tar")
    pushed, docker_config = site.new_name(tool), {"DOCKER_CONFIG": str(tmp_path)}
    run(crane, "auth", "login", "--insecure", "--username=x", f"--password={site.token}", host, **docker_config)
    run(crane, "push", "--insecure", tmp_path / "pulled.tar", pushed, **docker_config)
    assert site.published_id(pushed) == site.image_id
    with open_archive(tmp_path / "pulled.tar") as stream:
        assert inspect_archive(stream).image_id == site.image_id


def test_udocker(site: Site, tool: str, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "UDOCKER_DIR": str(tmp_path / "udocker")}

    def udocker(*words: str) -> None:
        run(COMMANDS / "udocker", "--allow-root", *words, **home)

    host, _, name = tool.partition("/")
    secret = site.receipts["secret"]["name"]
    server = f"--registry=http://{host}"
    udocker("pull", server, name)
    udocker("login", server, "--username=x", f"--password={site.token}")
    udocker("pull", server, secret)
    udocker("verify", name)
    pulled = {path.name: sha256(path.read_bytes()) for path in (tmp_path / "udocker/layers").iterdir()}
    assert {site.image_id, site.receipts["secret"]["image_id"]} <= pulled.keys()
    assert all(name == f"sha256:{digest}" for name, digest in pulled.items())


def test_oras_discovers_the_list_of_packages(site: Site, tool: str, tmp_path: Path) -> None:
    oras = todays("oras")
    found = json.loads(run(oras, "discover", "--plain-http", "--format", "json", tool))
    (artifact,) = found.get("referrers") or found["manifests"]
    assert artifact["artifactType"] == "application/vnd.cyclonedx+json"
    run(oras, "pull", "--plain-http", "--output", tmp_path, f"{tool.rpartition(':')[0]}@{artifact['digest']}")
    assert json.loads((tmp_path / "packages.cdx.json").read_bytes())["bomFormat"] == "CycloneDX"
    secret = f"{site.registry}/{site.receipts['secret']['name']}"
    login = ("--plain-http", "--username", "x", "--password", site.token)
    config = json.loads(run(oras, "manifest", "fetch", *login, secret))["config"]
    assert config["digest"] == site.receipts["secret"]["image_id"]


def test_oras_copies_an_image_with_what_refers_to_it(site: Site, tool: str) -> None:
    oras, copy = todays("oras"), site.new_name(tool)
    plain = ("--from-plain-http", "--to-plain-http", "--to-username", "x", "--to-password", site.token)
    run(oras, "cp", "-r", *plain, tool, copy)
    assert site.published_id(copy) == site.image_id
    found = json.loads(run(oras, "discover", "--plain-http", "--format", "json", copy))
    (artifact,) = found.get("referrers") or found["manifests"]
    assert artifact["artifactType"] == "application/vnd.cyclonedx+json"


def test_apptainer(site: Site, tool: str, tmp_path: Path) -> None:
    apptainer = todays("apptainer")
    home = {"HOME": str(tmp_path), "APPTAINER_CACHEDIR": str(tmp_path / "cache"), "APPTAINER_TMPDIR": str(tmp_path)}
    run(apptainer, "pull", "--no-https", tmp_path / "tool.sif", f"docker://{tool}", **home)
    shown = run(apptainer, "exec", "--no-privs", "--no-home", tmp_path / "tool.sif", "cat", "/data/deep/file", **home)
    assert shown == DATA
    shutil.rmtree(tmp_path / "cache")


SNAKEFILE = """
import skyport_wf

rule tool:
    output: "output.txt"
    container: skyport_wf.container("{}")
    shell: "cat /data/deep/file >{{output}}"
"""


@through_the_gateway
def test_snakemakes_container(site: Site, tool: str, tmp_path: Path) -> None:
    """The address comes from a lock file that was committed, by digest."""
    programs = todays("singularity").parent
    registry, _, name = tool.partition("/")
    site.receipt_of(name, registry, "--lock", str(tmp_path / "images.lock.json"))
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(name))
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "APPTAINER_NOHTTPS": "1"}
    options = ("--cores=1", "--sdm=apptainer", "--apptainer-args=--no-privs", f"--directory={tmp_path}")
    run(COMMANDS / "snakemake", *options, f"--snakefile={tmp_path}/Snakefile", **variables)
    assert (tmp_path / "output.txt").read_text() == DATA
