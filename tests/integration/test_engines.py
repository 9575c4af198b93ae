"""What is specific to an engine, on each engine that the tests are given: see tests/support/engines.py.

Images are published to a store that is served, as an engine of another person, and fetched, built on, and run.
"""

import gzip
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.shock.client import ShockClient
from skyport_wf.sources.platforms import own_platform
from skyport_wf.steps import publish
from tests.support.commands import COMMANDS, SKYPORT, environment, run
from tests.support.docker_archives import File, Image, file_member, layer_tar, legacy, manifest_of, sha256, tar_of
from tests.support.docker_contexts import write_context
from tests.support.engine import write_image_context
from tests.support.engines import MAIN, EngineUnderTest
from tests.support.lab import MIB, Lab, ServedShock, make_user


class Project(Lab):
    """A folder with an image list, whose images are made by one engine and published on a Shock."""

    def __init__(self, folder: Path, engine: EngineUnderTest, url: str, token: str) -> None:
        super().__init__(folder, token, SHOCK_URL=url, SKYPORT_CACHE=str(folder / "cache"), **engine.variables)
        self.engine = engine

    def context(self, name: str, *lines: str, base: str = "") -> str:
        """Write a Dockerfile with bash and busybox, or on the image `base`; return the fields that name it."""
        if not base:
            # No other test's images have its layers.
            write_image_context(self.folder / name, data=f"{self.engine.namespace} {name}", label=self.engine.label)
        else:
            (self.folder / name).mkdir()
            (self.folder / name / "Dockerfile").write_text(f"FROM {base}\n")
        with (self.folder / name / "Dockerfile").open("a") as dockerfile:
            dockerfile.writelines(f"{line}\n" for line in lines)
        return f"name: '{self.engine.name(name)}', dockerfile: {name}/Dockerfile"

    def publish(self, *names: str) -> dict[str, Any]:
        """Publish images, and return the receipts by their short names."""
        done = self.run("publish", "--json", *(self.engine.name(name) for name in names))
        receipts = done.result["published"]
        self.engine.published.update(receipt["image_id"] for receipt in receipts)
        return {receipt["name"].split("/")[1].removesuffix(":1"): receipt for receipt in receipts}

    def pull(self, name: str) -> Any:
        return self.run("pull", "--json", self.engine.name(name)).result

    def put_on_shock(self, name: str, image_id: str, members: list[File], **attributes: str) -> None:
        """Make a node as another tool does, with an archive of these members, that everyone may read."""
        repository, _, tag = self.engine.name(name).partition(":")
        told = {
            "type": "dockerimage", "name": f"{repository}:{tag}", "repository": repository, "tag": tag, "id": image_id
        }  # fmt: skip
        client = ShockClient(self.variables["SHOCK_URL"], token=self.variables["KB_AUTH_TOKEN"])
        packed = gzip.compress(tar_of(members))
        node = client.create(lambda: [packed], file_name="a", attributes=told | attributes, expiration="1D")
        client.set_public(node.id, True)

    def names(self) -> dict[str, str]:
        """Return all names that the engine has in the namespace, and the images that bear them."""
        listed = self.engine.docker("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
        named = (line.split() for line in listed.splitlines() if self.engine.namespace in line)
        return {name.removeprefix("localhost/").removeprefix("docker.io/"): image for name, image in named}

    def give_name_to_another(self, name: str) -> str:
        """Let an experiment take the name of an image; return the engine's id of it."""
        write_image_context(self.folder / f"experiment-{name}", data=f"{self.engine.namespace} an experiment")
        self.engine.docker(
            "build", "--network", "host", "--tag", self.engine.name(name), str(self.folder / f"experiment-{name}")
        )
        return self.engine.id_of(self.engine.name(name))


@pytest.fixture
def project(tmp_path: Path, each_engine: EngineUnderTest) -> Iterator[Project]:
    token = make_user(tmp_path / "store", "alice")
    with ServedShock(tmp_path / "store") as server:
        yield Project(tmp_path / "project", each_engine, server.url, token)


def test_a_published_image_is_fetched_once_and_leaves_nothing_nameless(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    receipt = project.publish("tool")["tool"]
    assert project.pull("tool")["downloaded"] == 0
    engine.remove(name)
    fetched = project.pull("tool")
    assert fetched["downloaded"] == receipt["size"]
    assert fetched["image_id"] == receipt["image_id"]
    assert engine.read(name, "/data/deep/file") == f"{engine.namespace} tool"
    assert project.pull("tool")["downloaded"] == 0
    # Another user has no notes of what was loaded; the image bears its name.
    project.variables["SKYPORT_CACHE"] = str(project.folder / "cache of another user")
    assert project.pull("tool")["downloaded"] == 0
    assert engine.nameless() == set()


@pytest.mark.containerd_only
def test_an_image_that_lost_a_layer_is_loaded_again(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    receipt = project.publish("tool")["tool"]
    engine.remove(name)
    project.pull("tool")
    engine.lose_layer(name)
    assert project.pull("tool")["downloaded"] == receipt["size"]
    assert engine.read(name, "/data/deep/file") == f"{engine.namespace} tool"
    assert project.pull("tool")["downloaded"] == 0


def test_an_image_gets_the_one_name_that_was_asked_for(project: Project) -> None:
    """The archives of other tools may name images of ours: whole ones, and thin ones with their base images."""
    engine, victim = project.engine, project.engine.name("victim")
    content = [layer_tar({f"{engine.namespace}-{number}": b"x"}) for number in range(3)]
    mine, whole, thin = Image((content[0],)), Image((content[1],)), Image((content[1], content[2]))
    with_victim = tar_of(legacy(mine, tags=[victim]))
    subprocess.run(["docker", "load", "--quiet"], input=with_victim, env=os.environ | engine.variables, check=True)
    before = project.names()
    assert [*before] == [victim]

    project.put_on_shock("nice", whole.image_id, legacy(whole, tags=[victim, engine.name("more")]))
    config, layer = f"{sha256(thin.config)}.json", f"{sha256(content[2])}.tar"
    lacking = [
        file_member(config, thin.config),
        file_member(layer, content[2]),
        file_member("manifest.json", manifest_of(config, ["0.tar", layer], [victim])),
    ]
    base = {"base_image_tag": engine.name("nice"), "base_image_id": whole.image_id}
    project.put_on_shock("thin", thin.image_id, lacking, **base)

    assert project.pull("thin")["image_id"] == thin.image_id
    found = project.names()
    # Where the base has to come by itself, it has its own name.
    assert found.keys() - {engine.name("nice")} == {victim, engine.name("thin")}
    assert found[victim] == before[victim]
    project.pull("nice")
    assert project.names().keys() == {victim, engine.name("thin"), engine.name("nice")}
    assert project.names()[victim] == before[victim]
    assert engine.nameless() == set()


def test_an_archive_of_another_image_leaves_the_engine_as_it_is(project: Project) -> None:
    engine = project.engine
    image = Image((layer_tar({engine.namespace: b"x"}),))
    project.put_on_shock("wrong", "sha256:" + "1" * 64, legacy(image))
    old = [(info, data) for info, data in legacy(image) if info.name != "manifest.json"]
    project.put_on_shock("old", "2" * 64, old)
    done = project.run("pull", engine.name("wrong"))
    assert done.code == 1
    assert f"holds the image {image.image_id}, and not sha256:{'1' * 64}" in done.log
    done = project.run("pull", engine.name("old"))
    assert done.code == 1
    assert "was written by a Docker before 1.10" in done.log
    assert project.names() == {}
    assert engine.nameless() == set()


@pytest.mark.parametrize("held", ["right", "moved", "absent"])
def test_an_image_is_built_on_the_published_base(project: Project, held: str) -> None:
    engine, base = project.engine, project.engine.name("base")
    entries = [project.context("base")]
    for builder in engine.builders:
        lines = [f"COPY --from=docker.io/{base} /data/deep/file /copied"]
        if builder == "buildkit":
            lines += ["# comment", f"RUN --mount=from={base},target=/base cat /base/data/deep/file >/mounted"]
        entries.append(f"{project.context(builder, *lines, base=base)}, builder: {builder}")
    project.write_list(*entries)
    published = project.publish("base")["base"]
    mine = engine.id_of(base)
    if held == "moved":
        mine = project.give_name_to_another("base")
    if held == "absent":
        engine.remove(base)
    for builder, receipt in project.publish(*engine.builders).items():
        assert receipt["base"] == {"name": base, "image_id": published["image_id"]}
        for path in ("/data/deep/file", "/copied", "/mounted")[: 2 + (builder == "buildkit")]:
            assert engine.read(engine.name(builder), path) == f"{engine.namespace} base"
    # The user's name is where it was.
    assert held == "absent" or engine.id_of(base) == mine
    assert engine.nameless() == set()


@pytest.mark.parametrize("is_published", [True, False])
def test_an_image_of_the_list_that_is_named_with_a_digest_is_that_image(
    project: Project, *, is_published: bool
) -> None:
    """Builders get it under a name without one: it was built on, whatever the digest said."""
    engine, base = project.engine, project.engine.name("base")

    other = f"sha256:{'7' * 64}"
    derived = [
        f"{project.context(builder, 'COPY Dockerfile /own', base=f'{base}@{other}')}, builder: {builder}"
        for builder in engine.builders
    ]
    project.write_list(project.context("base"), *derived)
    if is_published:
        own = project.publish("base")["base"]["image_id"]
    else:
        project.do("build", base, "--record", "base.json")
        own = project.do("save", "base.json", "--archive", "base.tar.gz", "--record", "s.json")["saved"]["contents"][
            "image_id"
        ]
    for builder in engine.builders:
        done = project.run("build", engine.name(builder), "--record", "build.json")
        said = f"{engine.name(builder)} is built on {base}@{other}, an image of the list, which has another digest now"
        assert (done.code, said in done.log, own in done.log) == (2, True, True), done.log
        dockerfile = project.folder / builder / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text().replace(other, own))
        project.do("build", engine.name(builder), "--record", "build.json")
        assert project.receipt("build.json")["base"]["image_id"] == own


def test_an_image_of_the_list_is_asked_for_at_no_registry(project: Project) -> None:
    """A registry has none, or a stranger's. Where no registry can be reached, asking for one fails."""
    engine, base = project.engine, project.engine.name("base")
    entries = [
        f"{project.context(builder, 'COPY Dockerfile /own', base=base)}, builder: {builder}, pull: true"
        for builder in engine.builders
    ]
    project.write_list(project.context("base"), *entries)
    for builder in engine.builders:
        done = project.run("build", engine.name(builder), "--record", "build.json")
        said = f"{engine.name(builder)} is built on {base}, which is neither published nor in the engine"
        assert (done.code, said in done.log) == (1, True), done.log
    published = project.publish("base", *engine.builders)
    for builder in engine.builders:
        assert published[builder]["base"]["image_id"] == published["base"]["image_id"]
        assert engine.read(engine.name(builder), "/data/deep/file") == f"{engine.namespace} base"


# Podman asks no registry without TLS.
@pytest.mark.docker_only
def test_beside_an_image_of_the_list_the_others_are_pulled(project: Project) -> None:
    engine, base = project.engine, project.engine.name("base")
    registry = project.variables["SHOCK_URL"].removeprefix("http://")
    there, gone = (f"{registry}/{engine.name(name)}" for name in ("other", "gone"))
    first, second = project.context("base"), project.context("other")
    entries = [
        f"{project.context(builder, f'COPY --from={there} /data /new', base=base)}, builder: {builder}, pull: true"
        for builder in engine.builders
    ]
    failing = f"{project.context('failing', f'COPY --from={gone} /data /new', base=base)}, pull: true"
    project.write_list(first, second, *entries, failing)
    project.publish("base", "other")
    try:
        for builder in engine.builders:
            for name in (there, gone):
                engine.docker("tag", base, name)
            project.publish(builder)
            assert engine.read(engine.name(builder), "/new/deep/file") == f"{engine.namespace} other"
        done = project.run("build", engine.name("failing"), "--record", "build.json")
        assert (done.code, f"pulling {gone}, which {engine.name('failing')} is built on" in done.log) == (1, True)
    finally:
        engine.remove(there, gone)


def test_labels_are_as_the_list_has_them(project: Project) -> None:
    engine = project.engine
    labels = {"price": "costs $5 ${PATH} $$ \\$HOME", "quoted": '"it\'s" \\ `é` \\', "empty": ""}
    for builder in engine.builders:
        project.write_list(f"{project.context(builder)}, builder: {builder}, labels: {json.dumps(labels)}")
        project.publish(builder)
        found = json.loads(engine.docker("image", "inspect", engine.name(builder)))[0]["Config"]["Labels"]
        assert {name: found.get(name) for name in labels} == labels


def test_labels_that_the_engine_would_change_are_refused(project: Project) -> None:
    """Which these are depends on podman's version; Docker's builders take all."""
    engine, labels = project.engine, {"lines": "one\ntwo", "$PATH": "x"}
    for name, value in labels.items():
        for builder in engine.builders:
            key = f"{builder}-{name.strip('$').lower()}"
            labelled = json.dumps({name: value})
            project.write_list(f"{project.context(key)}, builder: {builder}, labels: {labelled}")
            done = project.run("build", engine.name(key), "--record", "build.json")
            if done.code:
                assert (done.code, engine.is_podman, "podman" in done.log) == (2, True, True), done.log
                assert not engine.id_of(engine.name(key))
                continue
            found = json.loads(engine.docker("image", "inspect", engine.name(key)))[0]["Config"]["Labels"]
            assert {label: text for label, text in found.items() if label != "org.example.test"} == {name: value}


def test_files_of_another_context_are_not_taken_for_those_of_this_one(project: Project) -> None:
    """Their folders have the same last name, and they the same size and time, as files of a checkout may have."""
    engine = project.engine

    def write(builder: str, content: str, *, folder: str) -> str:
        """Return the entry of an image with a file of this content, made of a folder."""
        path = project.folder / builder / folder / "tool"
        if not path.exists():
            write_image_context(path)
        (path / "data/deep/file").write_text(content)
        for file in path.rglob("*"):
            os.utime(file, (1_700_000_000, 1_700_000_000))
        field = "" if engine.is_podman else f", builder: {builder}"
        return f"name: '{engine.name(f'{builder}-{content}')}', dockerfile: {path}/Dockerfile{field}"

    for content, folder in {"one": "a", "two": "b", "new": "b"}.items():
        project.write_list(*(write(builder, content, folder=folder) for builder in engine.builders))
        project.publish(*(f"{builder}-{content}" for builder in engine.builders))
        for builder in engine.builders:
            assert engine.read(engine.name(f"{builder}-{content}"), "/data/deep/file") == content


def test_several_builds_that_begin_together_fetch_a_base_once(project: Project) -> None:
    engine, base = project.engine, project.engine.name("base")
    first = project.context("base", "COPY large /large")
    # Both look for it before one of them has it.
    (project.folder / "base/large").write_bytes(os.urandom(40 * MIB))
    names = ("one", "two")
    # Of layers of their own: an engine may trip over builds that make the same one at once.
    own = [project.context(name, f"ENV OWN={name}", "COPY Dockerfile /own", base=base) for name in names]
    project.write_list(first, *own)
    project.publish("base")
    engine.remove(base)
    with ExitStack() as stack:
        started = [
            stack.enter_context(project.start("build", engine.name(name), "--record", f"{name}.json")) for name in names
        ]
        ended = [command.communicate() for command in started]
    assert [command.returncode for command in started] == [0, 0], ended
    assert sum(log.count("is not in the engine, fetching it from Shock") for _, log in ended) == 1, ended


@pytest.mark.parametrize("held", ["moved", "absent"])
def test_a_snapshot_is_made_of_the_published_base(project: Project, held: str) -> None:
    engine, base = project.engine, project.engine.name("base")
    (project.folder / "install.sh").write_text("#!/bin/bash\ncat /data/deep/file >/seen\n")
    project.write_list(
        project.context("base"), f"name: '{engine.name('tool')}', snapshot: {{base: '{base}', script: install.sh}}"
    )
    published = project.publish("base")["base"]
    mine = project.give_name_to_another("base") if held == "moved" else engine.remove(base)
    receipt = project.publish("tool")["tool"]
    assert receipt["base"] == {"name": base, "image_id": published["image_id"]}
    assert engine.read(engine.name("tool"), "/seen") == f"{engine.namespace} base"
    assert mine is None or engine.id_of(base) == mine


@pytest.mark.parametrize("moment", ["in the build", "before the upload"])
def test_an_image_whose_name_another_build_takes_is_published_or_to_be_built_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    project.context("other")
    taken = ["build", "--quiet", "--network=host", "--tag", name, str(project.folder / "other")]
    if moment == "in the build":
        docker = shutil.which("docker", path=engine.variables["PATH"])
        wrapper = project.folder / "bin/docker"
        wrapper.parent.mkdir()
        # Of the answers of other calls, nothing is to change.
        wrapper.write_text(
            f'#!/bin/sh\n[ "$1" = build ] || exec {docker} "$@"\n{docker} "$@" && {docker} {shlex.join(taken)}\n'
        )
        wrapper.chmod(0o755)
        project.variables["PATH"] = f"{wrapper.parent}:{engine.variables['PATH']}"
    else:
        upload = publish._upload_stream

        def take_name_and_upload(*arguments: Any) -> Any:
            engine.docker(*taken)
            return upload(*arguments)

        monkeypatch.setattr(publish, "_upload_stream", take_name_and_upload)
    monkeypatch.chdir(project.folder)
    for variable, value in project.variables.items():
        monkeypatch.setenv(variable, value)
    code, log = main(["publish", name]), capsys.readouterr().err
    if nameless := engine.nameless():
        engine.remove(*nameless)
    told = "taken the name meanwhile" in log
    assert (code, told) == ((75, True) if engine.is_containerd else (0, False)), log


def test_a_snapshot_of_a_user_whose_name_and_folder_are_behind_links(project: Project) -> None:
    engine, name, base = project.engine, project.engine.name("tool"), project.engine.name("base")
    (project.folder / "install.sh").write_text("busybox id -u >/home/by\n")
    project.write_list(f"name: '{name}', snapshot: {{base: '{base}', script: install.sh}}")

    def build_base(folder: str, *lines: str) -> None:
        project.context(folder, *lines)
        engine.docker("build", "--network=host", "--tag", base, str(project.folder / folder))

    build_base(
        "linked",
        "RUN mkdir -p -m 1777 /home /store/tmp && rm -rf /tmp && ln -s store/tmp /tmp",
        "RUN echo anna:x:1000:1000::/:/bin/sh >/store/users && ln -s users /store/passwd",
        "RUN mkdir -p /etc && rm -f /etc/passwd && ln -s /store/passwd /etc/passwd",
        "USER anna",
    )
    done = project.run("build", name, "--record", "build.json")
    assert done.code == 0, done.log
    assert engine.read(name, "/home/by") == "1000"
    assert engine.docker("run", "--rm", "--network", "host", name, "/bin/busybox", "ls", "-A", "/store/tmp") == ""

    build_base("bare", "RUN rm -rf /tmp", "USER 1000")
    done = project.run("build", name, "--record", "build.json")
    assert (done.code, "has no folder /tmp for the script" in done.log) == (1, True), done.log


@pytest.mark.parametrize("user", ["0", "1000"])
def test_a_snapshots_script_has_the_proxies_of_dockers_config_and_the_image_has_not(
    project: Project, user: str
) -> None:
    engine, name, base = project.engine, project.engine.name("tool"), project.engine.name("base")
    proxy = "http://anna:it's $5@proxy.lab:3128"
    (project.folder / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": proxy, "noProxy": "localhost"}}})
    )
    project.variables["DOCKER_CONFIG"] = str(project.folder)
    project.context("base", "RUN mkdir -p -m 1777 /tmp /home", f"USER {user}")
    engine.docker("build", "--network=host", "--tag", base, str(project.folder / "base"))
    (project.folder / "install.sh").write_text('echo "<$HTTP_PROXY> <$http_proxy> <$no_proxy>"; ls -A /tmp\n')
    project.write_list(f"name: '{name}', snapshot: {{base: '{base}', script: install.sh}}")
    done = project.run("build", name, "--record", "build.json")
    assert done.code == 0, done.log
    assert f"<{proxy}> <{proxy}> <localhost>\n" in done.log
    assert ".skyport-wf-proxies" not in done.log
    made = json.loads(engine.docker("image", "inspect", name))[0]
    history = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", name)
    assert "anna" not in json.dumps(made["Config"]) + history
    find = ("/bin/busybox", "find", "/", "-xdev", "-name", ".skyport*")
    assert engine.docker("run", "--rm", "--network", "host", name, *find) == ""


def test_a_thin_image_is_published_and_fetched_with_its_base(project: Project) -> None:
    engine, base = project.engine, project.engine.name("base")
    project.write_list(
        project.context("base"), f"{project.context('tool', 'COPY Dockerfile /own', base=base)}, base: '{base}'"
    )
    receipts = project.publish("base", "tool")
    assert receipts["tool"]["thin_on"]["image_id"] == receipts["base"]["image_id"]
    assert receipts["tool"]["size"] < receipts["base"]["size"] / 10
    engine.remove(engine.name("tool"), base)
    fetched = project.pull("tool")
    assert fetched["image_id"] == receipts["tool"]["image_id"]
    assert engine.read(engine.name("tool"), "/data/deep/file") == f"{engine.namespace} base"
    assert project.pull("tool")["downloaded"] == 0
    engine.remove(engine.name("tool"))
    mine = project.give_name_to_another("base")
    assert project.pull("tool")["image_id"] == receipts["tool"]["image_id"]
    assert engine.id_of(base) == mine
    assert engine.read(engine.name("tool"), "/data/deep/file") == f"{engine.namespace} base"


def test_the_same_image_from_the_engine_and_from_an_archive_is_published_already(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    receipt = project.publish("tool")["tool"]
    (project.folder / "saved.tar").unlink(missing_ok=True)
    engine.docker("save", "--output", str(project.folder / "saved.tar"), name)
    for source in (f"image: '{name}'", "archive: saved.tar"):
        project.write_list(f"name: '{name}', {source}")
        assert project.run("status", "--json").result["images"][0]["state"] == "published"
        assert project.publish("tool")["tool"]["node"] == receipt["node"]


def test_an_image_of_the_engine_is_published_by_its_config_digest(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.context("tool")
    engine.docker("build", "--network=host", "--tag", name, str(project.folder / "tool"))
    project.write_list(f"name: '{engine.name('given')}', image: '{name}'")
    receipt = project.publish("given")["given"]
    assert receipt["source"]["digest"] == receipt["image_id"]
    assert (receipt["engine_image_id"] or receipt["image_id"]) == engine.id_of(name)
    assert bool(receipt["engine_image_id"]) == engine.is_containerd
    engine.remove(engine.name("given"), name)
    assert project.pull("given")["downloaded"] == receipt["size"]


def test_what_is_for_another_platform_is_told_and_takes_no_name(project: Project) -> None:
    engine, name, base = project.engine, project.engine.name("tool"), project.engine.name("base")
    project.context("base")
    engine.docker("build", "--network=host", "--tag", base, str(project.folder / "base"))
    mine = project.give_name_to_another("tool")
    (project.folder / "install.sh").write_text("#!/bin/bash\necho it ran\n")
    container = engine.docker("create", "--network", "host", base)
    told = f"{name} is an image for {own_platform()}, and the image list asks for linux/s390x."
    try:
        snapshot = f"snapshot: {{base: '{base}', script: install.sh}}"
        for source in (f"image: '{base}'", f"container: '{container}'", snapshot):
            project.write_list(f"name: '{name}', {source}, platform: linux/s390x")
            if source != snapshot:
                assert told in project.run("status").out
                assert told in project.run("publish", "--all", "--dry-run").out
            done = project.run("publish", "--all")
            assert (done.code, told in done.log, "it ran" in done.log) == (1, True, False), done.log
            assert engine.id_of(name) == mine, source
    finally:
        engine.docker("rm", container)


# Podman gives an image that it saves another name.
@pytest.mark.docker_only
def test_the_same_image_in_another_engine_is_published_already(project: Project, engine: str, tmp_path: Path) -> None:
    """Its id is the digest of its config in one, and may be that of its manifest in the other."""
    url, token = project.variables["SHOCK_URL"], project.variables["KB_AUTH_TOKEN"]
    with EngineUnderTest(MAIN, engine) as usual:
        usual.namespace = project.engine.namespace
        other = Project(tmp_path / "other", usual, url, token)
        for image, mine, theirs in (("one", project, other), ("two", other, project)):
            name, saved = usual.name(image), tmp_path / f"{image}.tar"
            mine.context(image)
            mine.engine.docker("build", "--network=host", "--tag", name, str(mine.folder / image))
            mine.engine.docker("save", "--output", str(saved), name)
            theirs.engine.docker("load", "--input", str(saved))
            for lab in (mine, theirs):
                lab.write_list(f"name: '{name}', image: '{name}'")
            receipt = mine.publish(image)[image]
            assert theirs.run("status", "--json").result["images"][0]["state"] == "published"
            assert theirs.publish(image)[image]["node"] == receipt["node"]


@pytest.mark.docker_only
def test_an_image_that_another_engine_built_is_saved(project: Project, engine: str, tmp_path: Path) -> None:
    with EngineUnderTest(MAIN, engine) as usual:
        usual.namespace = project.engine.namespace
        other = Project(tmp_path / "other", usual, project.variables["SHOCK_URL"], project.variables["KB_AUTH_TOKEN"])
        other.write_list(other.context("tool"))
        name, built, image = usual.name("tool"), str(tmp_path / "build.json"), str(tmp_path / "tool.tar")
        other.do("build", name, "--record", built)
        usual.docker("save", "--output", image, name)
        project.engine.docker("load", "--input", image)
        digest = usual.config_digest(name)
        saved = project.do("save", built, "--archive", str(tmp_path / "tool.tar.gz"), "--record", "save.json")
    assert saved["saved"]["contents"]["image_id"] == digest


def test_a_name_at_localhost_is_the_listed_image_to_podman_alone(project: Project) -> None:
    """Docker has it from a registry there, or under that very name."""
    engine, base = project.engine, project.engine.name("base")
    write_image_context(project.folder / "other", data=f"{engine.namespace} other", label=engine.label)
    engine.docker("build", "--network=host", "--tag", f"localhost/{base}", str(project.folder / "other"))
    top = project.context("top", f"COPY --from=localhost/{base} /data/deep/file /copied", base=f"localhost/{base}")
    (project.folder / "install.sh").write_text("#!/bin/bash\ntrue\n")
    snapshot = f"name: '{engine.name('snapshot')}', snapshot: {{base: 'localhost/{base}', script: install.sh}}"
    project.write_list(top, snapshot, project.context("base"))
    receipts = project.publish("top", "snapshot", "base")
    meant = "base" if engine.is_podman else "other"
    for path in ("/data/deep/file", "/copied"):
        assert engine.read(engine.name("top"), path) == f"{engine.namespace} {meant}"
    assert engine.read(engine.name("snapshot"), "/data/deep/file") == f"{engine.namespace} {meant}"
    for name in ("top", "snapshot"):
        built_on = receipts[name]["base"]
        assert built_on["name"] == f"localhost/{base}"
        assert (built_on["image_id"] == receipts["base"]["image_id"]) == engine.is_podman


def test_a_container_is_published_with_the_base_it_was_made_from(project: Project) -> None:
    engine, base = project.engine, project.engine.name("base")
    project.write_list(project.context("base"))
    published = project.publish("base")["base"]
    container = engine.docker("create", "--network", "host", base, "/bin/bash", "-c", "echo made >/made")
    try:
        engine.docker("start", "--attach", container)
        # On containerd's store, an image without any name is gone, and a container of it cannot be committed.
        engine.docker("tag", base, engine.name("kept"))
        project.give_name_to_another("base")
        project.write_list(f"name: '{engine.name('tool')}', container: '{container}'")
        receipt = project.publish("tool")["tool"]
    finally:
        engine.docker("rm", container)
    assert receipt["base"]["image_id"] == published["image_id"]
    assert engine.read(engine.name("tool"), "/made") == "made"


def test_a_commit_changes_what_it_is_told_and_nothing_else(project: Project) -> None:
    engine, name, base = project.engine, project.engine.name("tool"), project.engine.name("base")
    shell = json.dumps(["/bin/busybox", "sh", "-c"])
    lines = ["WORKDIR /data", "STOPSIGNAL SIGINT", f"SHELL {shell}", 'ENTRYPOINT ["/bin/busybox"]', 'CMD ["true"]']
    project.context("base", *lines)
    engine.docker("build", "--network=host", "--tag", base, str(project.folder / "base"))
    (project.folder / "install.sh").write_text("true\n")
    container = engine.docker("create", "--network", "host", base)

    def config_of(name: str) -> dict[str, Any]:
        found = json.loads(engine.docker("image", "inspect", name))[0]["Config"]
        return {key: found.get(key) or None for key in ("Entrypoint", "Cmd", "WorkingDir", "StopSignal", "Shell")}

    try:
        for source in (f"snapshot: {{base: '{base}', script: install.sh}}", f"container: '{container}'"):
            for field, value, made in (
                ("message", "by hand", {}),
                ("cmd", ["ls"], {"Cmd": ["ls"]}),
                ("entrypoint", ["/bin/bash", "-c"], {"Entrypoint": ["/bin/bash", "-c"]}),
                ("workdir", "deep/it's \\x", {"WorkingDir": "/data/deep/it's \\x"}),
            ):
                project.write_list(f"name: '{name}', {source}, commit: {{{field}: {json.dumps(value)}}}")
                done = project.run("build", name, "--record", "build.json")
                assert done.code == 0, done.log
                assert config_of(name) == config_of(base) | made, (source, field)
                engine.remove(name)
    finally:
        engine.docker("rm", container)


def test_an_image_stops_and_starts_as_its_container_did(project: Project) -> None:
    engine, name, base = project.engine, project.engine.name("tool"), project.engine.name("base")
    project.context("base", "STOPSIGNAL SIGINT", 'ENTRYPOINT ["/bin/busybox"]')
    engine.docker("build", "--network=host", "--tag", base, str(project.folder / "base"))
    own = ["--stop-signal", "SIGUSR1", "--entrypoint", ""]
    container = engine.docker("create", "--network", "host", *own, base, "/bin/busybox", "true")
    try:
        project.write_list(f"name: '{name}', container: '{container}'")
        done = project.run("build", name, "--record", "build.json")
        assert done.code == 0, done.log
    finally:
        engine.docker("rm", container)
    config = json.loads(engine.docker("image", "inspect", name))[0]["Config"]
    # Podman has numbers.
    assert config["StopSignal"] in ("SIGUSR1", "10")
    assert (config.get("Entrypoint") or [], config["Cmd"]) == ([], ["/bin/busybox", "true"])


def test_a_command_whose_output_nobody_reads_any_more_leaves_no_container(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    project.publish("tool")
    with project.start(
        "run", name, "--", "/bin/bash", "-c", "/bin/busybox yes | /bin/busybox head -c 5000000"
    ) as command:
        command.stdout.readline()
        command.stdout.close()
        log = command.stderr.read()
    assert (command.returncode, log) == (1, "")
    assert engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""


def test_output_of_a_command_on_a_full_disk_is_no_bug(project: Project) -> None:
    engine, name = project.engine, project.engine.name("tool")
    project.write_list(project.context("tool"))
    project.publish("tool")
    for stream, told in ((">", "skyport-wf: cannot write to stdout: No space left on device\n"), ("2>", "")):
        line = f'"$0" run {name} -- /bin/bash -c "echo x; echo x >&2" {stream}/dev/full'
        done = run("/bin/bash", "-c", line, SKYPORT, folder=project.folder, variables=environment(**project.variables))
        assert (done.code, done.log.replace("x\n", "")) == (1, told)
    assert engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""


def test_a_command_that_the_image_does_not_have_ends_as_in_a_shell(project: Project) -> None:
    name = project.engine.name("tool")
    project.write_list(project.context("tool"))
    project.publish("tool")
    for program, code, said in (
        ("nosuchcmd", 127, f"{name} has no program nosuchcmd."),
        ("/no/such", 127, f"{name} has no program /no/such."),
        ("/data/deep/file", 126, f"/data/deep/file is not executable in {name}."),
        ("/data", 126, f"/data is not executable in {name}."),
    ):
        done = project.run("run", name, "--", program)
        assert (done.code, said in done.log) == (code, True), done.log


def test_a_flattened_image_is_fetched_and_runs(project: Project) -> None:
    engine = project.engine
    project.write_list(f"{project.context('tool', 'RUN rm /data/deep/file && echo kept >/data/kept')}, flatten: true")
    receipt = project.publish("tool")["tool"]
    assert len(receipt["layers"]) == 1
    engine.remove(engine.name("tool"))
    assert project.pull("tool")["image_id"] == receipt["image_id"]
    assert engine.read(engine.name("tool"), "/data/kept") == "kept"


def test_a_published_image_is_built_again_on_the_published_base(project: Project) -> None:
    engine, base = project.engine, project.engine.name("base")
    (project.folder / "install.sh").write_text("#!/bin/bash\ncat /data/deep/file >/seen\n")
    project.write_list(
        project.context("base"),
        project.context("tool", "COPY Dockerfile /own", base=base),
        f"name: '{engine.name('snapshot')}', snapshot: {{base: '{base}', script: install.sh}}",
    )
    project.publish("base", "tool", "snapshot")
    # Podman's history of an image names what it was made of, by the first name of that.
    engine.docker("tag", base, f"{engine.namespace}/a-second-name:1")
    for prepare in (lambda: None, lambda: project.give_name_to_another("base")):
        prepare()
        for image in ("tool", "snapshot"):
            found = project.run("reproduce", "--json", engine.name(image)).result
            assert found["changed_inputs"] == [], found
            assert found["verdict"] in ("identical", "same contents"), found


def test_with_a_source_date_a_run_is_built_again_byte_for_byte_where_the_engine_can(project: Project) -> None:
    engine = project.engine
    fields = project.context("tool", "RUN echo made >/made && mkdir /folder && echo more >/folder/file")
    project.write_list(f"{fields}, builder: {engine.builders[-1]}")
    project.variables["SOURCE_DATE_EPOCH"] = "1700000000"
    project.publish("tool")
    found = project.run("reproduce", "--json", engine.name("tool")).result
    # With Docker's classic store, BuildKit cannot set the times of files that a RUN writes; podman's versions differ.
    if engine.is_containerd:
        assert found["verdict"] == "identical", found
    else:
        assert found["verdict"] in ("identical", "same contents"), found


def test_the_engine_of_dockers_current_context_does_it_all(project: Project) -> None:
    engine, config = project.engine, project.folder / "docker"
    write_context(config, "lab", project.variables["DOCKER_HOST"], current=True)
    project.variables |= {"DOCKER_HOST": "", "DOCKER_CONTEXT": "", "DOCKER_CONFIG": str(config)}
    project.write_list(*(f"{project.context(builder)}, builder: {builder}" for builder in engine.builders))
    receipts = project.publish(*engine.builders)
    for builder in engine.builders:
        assert engine.config_digest(engine.name(builder)) == receipts[builder]["image_id"]
    (told, *_) = json.loads(project.run("doctor", "--json").out)["findings"]
    assert "(docker context lab)" in told["detail"]


def test_doctor_says_what_kind_of_engine_it_is(project: Project) -> None:
    (told, *_) = json.loads(project.run("doctor", "--json").out)["findings"]
    assert told["ok"]
    assert ("podman" in told["detail"]) == project.engine.is_podman
    assert ("containerd's image store" in told["detail"]) == project.engine.is_containerd


USING = """
cwlVersion: v1.0
class: CommandLineTool
hints: {{DockerRequirement: {requirement}}}
baseCommand: [cat, /data/deep/file]
inputs: []
stdout: output.txt
outputs: {{text: stdout}}
"""


# Podman is asked by its own command, which looks at images of its own.
@pytest.mark.docker_only
def test_cwltool_runs_the_receipts_requirement_and_loads_it_once(project: Project) -> None:
    engine = project.engine
    project.write_list(project.context("tool"))
    receipt = project.publish("tool")["tool"]
    engine.remove(engine.name("tool"))
    requirement = receipt["use"]["cwl"]["DockerRequirement"]
    (project.folder / "use.cwl").write_text(USING.format(requirement=json.dumps(requirement)))
    for loads in (1, 0):
        done = subprocess.run(
            [COMMANDS / "cwltool", "--outdir", str(project.folder), str(project.folder / "use.cwl")],
            env={**os.environ, **engine.variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Sending GET request to") == loads, done.stderr
        assert (project.folder / "output.txt").read_text() == f"{engine.namespace} tool"
