"""Dockerfiles and contexts that are elsewhere: published, recorded, and made anew when they change."""

import base64
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.shock.client import ShockClient
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.remote_files import RemoteFiles
from tests.support.engine import docker, inspect_image, write_image_context
from tests.support.lab import Lab, ServedShock
from tests.support.remote_site import Repository, Site, git, remote_site

PATH = "/tool/Dockerfile"


class RemoteLab(Lab):
    """A project that has nothing but an image list, and a site with what the list names."""

    def __init__(self, folder: Path, namespace: str, site: Site, base: str) -> None:
        super().__init__(folder, SKYPORT_CACHE=str(folder / "cache"), SKYPORT_RETRY_SECONDS="0")
        self.namespace = namespace
        self.site = site
        self.name = f"{namespace}/tool:1"
        self.base = base
        site.files[PATH] = self.dockerfile("RUN echo one >/made")

    def dockerfile(self, *lines: str) -> bytes:
        return "\n".join((f"FROM {self.base}", *lines, "")).encode()

    def list_sources(self, *sources: str) -> None:
        """Write an image list with an image for each source."""
        entries = (
            f"  - name: {self.namespace}/tool:{number}\n    {source}\n" for number, source in enumerate(sources, 1)
        )
        (self.folder / "images.yaml").write_text("images:\n" + "".join(entries))

    def publish(self, name: str = "", **variables: str) -> dict[str, Any]:
        done = self.run("publish", name or self.name, "--record", "receipt.json", **variables)
        assert done.code == 0, done.log
        return json.loads((self.folder / "receipt.json").read_text())

    def plan(self) -> dict[str, str]:
        done = self.run("plan", "--json")
        assert done.code == 0, done.log
        return {image["name"]: image["digest"] for image in json.loads(done.out)["images"]}

    def failure(self, *arguments: str) -> tuple[int, str]:
        done = self.run(*arguments)
        # Of a mistake in the list, its line and carets follow.
        *_, message = [line for line in done.log.splitlines() if line.startswith("skyport-wf: ")]
        return done.code, message.removeprefix("skyport-wf: ")

    def publish_failure(self) -> tuple[int, str]:
        """Return how publishing fails, having seen that planning fails the same way."""
        failed = self.failure("publish", self.name)
        assert self.failure("plan") == failed
        return failed

    def inspect(self, name: str = "") -> dict[str, Any]:
        return inspect_image(name or self.name)

    def shown(self, path: str, name: str = "") -> str:
        return docker("run", "--rm", "--network", "none", name or self.name, "/bin/cat", path)


@pytest.fixture(scope="module")
def base(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of a base image with bash and busybox."""
    name = f"test-{uuid.uuid4().hex[:12]}/base:1"
    folder = tmp_path_factory.mktemp("base")
    write_image_context(folder)
    docker("build", "--quiet", "--network=host", "--tag", name, str(folder))
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture
def lab(tmp_path: Path, namespace: str, base: str) -> Iterator[RemoteLab]:
    with remote_site(tmp_path / "repositories") as site:
        yield RemoteLab(tmp_path, namespace, site, base)


@pytest.fixture
def tools(lab: RemoteLab) -> Repository:
    repository = Repository(lab.site.repositories, "tools")
    repository.commit(
        {
            "tool/Dockerfile": lab.dockerfile("COPY program /program").decode(), "tool/program": "one\n",
            "other/file": "other\n", "tool/some/Dockerfile": lab.dockerfile("COPY . /all").decode(),
        }
    )  # fmt: skip
    return repository


# --- Dockerfiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("builder", ["classic", "auto"])
def test_a_dockerfile_from_a_url_is_published_and_recorded(lab: RemoteLab, builder: str) -> None:
    url = lab.site.url + PATH
    lab.list_sources(f"dockerfile: {url}\n    builder: {builder}")
    receipt = lab.publish()
    assert (receipt["source"]["dockerfile_url"], receipt["source"]["git"]) == (url, None)
    assert lab.shown("/made") == "one\n"
    with ServedShock(lab.folder / "store") as shock:
        node = ShockClient(shock.url).find(receipt["node"])
    assert node
    assert base64.b64decode((node.attributes or {})["dockerfile"]) == lab.site.files[PATH]
    assert receipt == lab.publish()
    assert lab.run("status").code == 0


def test_only_what_the_dockerfile_says_decides_and_not_where_it_is(lab: RemoteLab) -> None:
    lab.site.files["/moved/Dockerfile"] = lab.site.files[PATH]
    lab.list_sources(f"dockerfile: {lab.site.url}{PATH}")
    first = lab.publish()
    lab.list_sources(f"dockerfile: {lab.site.url}/moved/Dockerfile")
    assert lab.publish() == first
    lab.site.files["/moved/Dockerfile"] += b"RUN echo two >/made\n"
    code, message = lab.failure("publish", lab.name)
    assert (code, f"{lab.name} is published already, as another image" in message) == (1, True), message


def test_a_dockerfile_from_a_url_sees_nothing_but_the_context_that_is_named(lab: RemoteLab) -> None:
    lab.site.files[PATH] = lab.dockerfile("COPY . /all", "RUN ls /all >/seen")
    (lab.folder / "data").mkdir()
    (lab.folder / "data/mine").write_text("mine\n")
    source = f"dockerfile: {lab.site.url}{PATH}"
    lab.list_sources(source, f"{source}\n    context: data", f"{source}\n    context: data\n    builder: classic")
    for number, seen in {1: "", 2: "mine\n", 3: "mine\n"}.items():
        lab.publish(f"{lab.namespace}/tool:{number}")
        assert lab.shown("/seen", f"{lab.namespace}/tool:{number}") == seen


def test_a_dockerfile_from_a_url_in_a_context_from_git(lab: RemoteLab, tools: Repository) -> None:
    lab.site.files[PATH] = lab.dockerfile("COPY program /program")
    lab.list_sources(f"dockerfile: {lab.site.url}{PATH}\n    context: {lab.site.url}/git/tools.git#main:tool")
    receipt = lab.publish()
    assert receipt["source"]["dockerfile_url"] == lab.site.url + PATH
    assert receipt["source"]["git"]["folder"] == "tool"
    assert lab.shown("/program") == "one\n"


@pytest.mark.parametrize(
    ("status", "headers", "code", "message"),
    [
        ("404 Not Found", {}, 1, "there is no {url} (HTTP 404). Mend `dockerfile` in the image list."),
        ("302 Found", {"Location": "file:///etc/passwd"}, 1,
         "{url} redirects to a file: address. Only http and https are followed."),
        ("503 Unavailable", {}, 75, "{url} answers with HTTP 503."),
    ],
)  # fmt: skip
def test_a_server_that_does_not_give_the_file(
    lab: RemoteLab, status: str, headers: dict[str, str], code: int, message: str
) -> None:
    lab.site.answers[PATH] = (status, headers)
    url = lab.site.url + PATH
    lab.list_sources(f"dockerfile: {url}")
    assert lab.publish_failure() == (code, f"image {lab.name}: {message.format(url=url)}")


def test_a_web_page_and_a_large_file(lab: RemoteLab) -> None:
    lab.site.files["/page"] = b"<!DOCTYPE html><html>Dockerfile</html>"
    lab.site.files["/large"] = b"FROM scratch\n" + b"#" * (2 << 20)
    for path, message in (
        ("/page", "is a web page, not a Dockerfile. Give the address of the file itself, which many sites call `raw`."),
        ("/large", "is larger than 1 MiB, which no Dockerfile is."),
    ):
        lab.list_sources(f"dockerfile: {lab.site.url}{path}")
        assert lab.publish_failure() == (1, f"image {lab.name}: {lab.site.url}{path} {message}")


def test_images_whose_server_is_down_do_not_stop_the_others(lab: RemoteLab) -> None:
    (lab.folder / "here").mkdir()
    (lab.folder / "here/Dockerfile").write_bytes(lab.dockerfile("RUN echo here >/made"))
    lab.list_sources("dockerfile: here/Dockerfile", "dockerfile: http://127.0.0.1:1/Dockerfile")
    receipt = lab.publish()
    assert (receipt["source"]["dockerfile_url"], receipt["source"]["git"]) == (None, None)
    for command in (["build", lab.name, "--record", "build.json"], ["publish", lab.name]):
        assert lab.run(*command).code == 0
    done = lab.run("status")
    assert done.code == 3
    assert f"{lab.name}  published" in done.out
    assert f"{lab.namespace}/tool:2  unknown" in done.out


# --- git --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["git", "dumb"])
def test_a_folder_of_a_commit_is_published_and_recorded(lab: RemoteLab, tools: Repository, way: str) -> None:
    commit = git(tools.work, "rev-parse", "HEAD")
    tools.commit({"tool/program": "two\n"})
    url = f"{lab.site.url}/{way}/tools.git"
    lab.list_sources(
        f"dockerfile: {url}#{commit}:tool", f"context: {url}#{commit}:tool\n    dockerfile: some/Dockerfile"
    )
    receipt = lab.publish()
    assert receipt["source"]["git"] == {"repository": url, "ref": commit, "commit": commit, "folder": "tool"}
    assert receipt["source"]["dockerfile_url"] is None
    assert lab.shown("/program") == "one\n"
    lab.publish(f"{lab.namespace}/tool:2")
    assert lab.shown("/all/some/Dockerfile", f"{lab.namespace}/tool:2").startswith("FROM")


def test_a_branch_is_resolved_recorded_and_followed(lab: RemoteLab, tools: Repository) -> None:
    first = git(tools.work, "rev-parse", "HEAD")
    lab.list_sources(f"dockerfile: {lab.site.url}/git/tools.git#main:tool\n    replace: true")
    receipt, digest = lab.publish(), lab.plan()
    assert (receipt["source"]["git"]["ref"], receipt["source"]["git"]["commit"]) == ("main", first)
    tools.commit({"other/file": "changed\n"})
    assert lab.plan() == digest, "another folder was changed"
    assert lab.publish() == receipt
    second = tools.commit({"tool/program": "two\n"})
    assert lab.plan() != digest
    receipt = lab.publish()
    assert receipt["source"]["git"]["commit"] == second
    assert lab.shown("/program") == "two\n"


def test_a_repository_is_the_same_source_as_a_checkout_of_it(lab: RemoteLab, tools: Repository) -> None:
    git(lab.folder, "clone", "--quiet", str(tools.bare), "here")
    lab.list_sources("dockerfile: here/tool/Dockerfile")
    here = lab.publish()
    lab.list_sources(f"dockerfile: {lab.site.url}/git/tools.git#main:tool")
    assert lab.publish()["source"]["digest"] == here["source"]["digest"]


def test_two_who_fetch_a_commit_get_the_same_layer(lab: RemoteLab, tools: Repository) -> None:
    source = f"dockerfile: {lab.site.url}/git/tools.git#main:tool\n    no_cache: true"
    lab.list_sources(source, source)
    first = lab.publish()
    second = lab.publish(f"{lab.namespace}/tool:2", SKYPORT_CACHE=str(lab.folder / "other cache"))
    assert first["layers"] == second["layers"]


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("#nowhere:tool", "{url} has no branch or tag 'nowhere'. `git ls-remote {url}` lists what there is; a commit "
         "needs all its digits."),
        ("#main:nowhere", "{url} has no folder nowhere in commit {commit}. Mend the address."),
        ("#main:other", "there is no Dockerfile in the folder other of {url} at commit {commit}."),
        ("#main:link", "{url} has no folder link in commit {commit}. Mend the address."),
        ("#main:evil", "Dockerfile in {url} is a link that leads out of the context."),
        ("#main:deep", "there is no Dockerfile in the folder deep of {url} at commit {commit}."),
        ("#main:ignoring", ".dockerignore in {url} is a link that leads out of the context."),
    ],
)  # fmt: skip
def test_what_a_repository_does_not_have_or_may_not_have(
    lab: RemoteLab, tools: Repository, fragment: str, message: str
) -> None:
    (tools.work / "link").symlink_to("tool")
    (tools.work / "evil").mkdir()
    (tools.work / "evil/Dockerfile").symlink_to("/etc/passwd")
    (tools.work / "deep").mkdir()
    (tools.work / "deep/Dockerfile").symlink_to("nowhere")
    (tools.work / "ignoring").mkdir()
    (tools.work / "ignoring/Dockerfile").write_bytes(lab.dockerfile())
    (tools.work / "ignoring/.dockerignore").symlink_to("/etc/passwd")
    commit = tools.push()
    url = f"{lab.site.url}/git/tools.git"
    lab.list_sources(f"dockerfile: {url}{fragment}")
    assert lab.publish_failure() == (1, f"image {lab.name}: {message.format(url=url, commit=commit)}")


@pytest.mark.parametrize("dockerfile", ["etc/passwd", "passwd"])
def test_no_file_of_this_machine_is_taken_for_a_dockerfile(lab: RemoteLab, tools: Repository, dockerfile: str) -> None:
    (tools.work / "etc").symlink_to("/etc")
    (tools.work / "passwd").symlink_to("../../../../../../../../../../etc/passwd")
    tools.push()
    url = f"{lab.site.url}/git/tools.git"
    lab.list_sources(f"context: {url}#main\n    dockerfile: {dockerfile}")
    message = f"{dockerfile} in {url} is a link that leads out of the context."
    assert lab.publish_failure() == (1, f"image {lab.name}: {message}")


def test_a_dockerfile_may_be_a_link_inside_the_context(lab: RemoteLab, tools: Repository) -> None:
    (tools.work / "tool/linked").symlink_to("Dockerfile")
    tools.push()
    lab.list_sources(f"context: {lab.site.url}/git/tools.git#main:tool\n    dockerfile: linked")
    lab.publish()
    assert lab.shown("/program") == "one\n"


def test_a_submodule_in_the_context_is_refused_unless_it_is_ignored(lab: RemoteLab, tools: Repository) -> None:
    head = git(tools.work, "rev-parse", "HEAD")
    for folder in ("tool", "other"):
        git(tools.work, "update-index", "--add", "--cacheinfo", f"160000,{head},{folder}/sub")
    git(tools.work, "commit", "--quiet", "--message", "m")
    git(tools.work, "push", "--quiet", str(tools.bare), "HEAD:refs/heads/main")
    url = f"{lab.site.url}/git/tools.git"
    lab.list_sources(f"dockerfile: {url}#main:tool")
    assert lab.publish_failure() == (
        1, f"image {lab.name}: sub in {url} belongs to another repository (a submodule), which is not fetched. Name it "
        "in .dockerignore if the build does not need it.",
    )  # fmt: skip
    (tools.work / "tool/.dockerignore").write_text("sub\n")
    git(tools.work, "add", "tool/.dockerignore")
    git(tools.work, "commit", "--quiet", "--message", "m")
    git(tools.work, "push", "--quiet", str(tools.bare), "HEAD:refs/heads/main")
    lab.publish()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dockerfile: 'https://example.org/x.git#--upload-pack=touch:tool'",
         "line 3, field dockerfile: '--upload-pack=touch' cannot be the name of a commit, branch or tag."),
        ("dockerfile: https://example.org/x.git#main:../tool",
         "line 3, field dockerfile: '../tool' is no path inside the repository."),
        ("context: https://example.org/x.git#main\n    dockerfile: ../Dockerfile",
         "line 4, field dockerfile: '../Dockerfile' is no path inside the repository."),
        ("dockerfile: file:///etc/passwd",
         "line 3, field dockerfile: this kind of address is not supported. Write http:// or https://, a host "
         "and a path; or the path of a file."),
        ("dockerfile: git@example.org:x.git",
         "line 3, field dockerfile: git over ssh is not supported. Write http:// or https://; git's credential helper "
         "has the password."),
        ("dockerfile: https://anna:s3cr3t@example.org/Dockerfile",
         "line 3, field dockerfile: a user or password in the address would end up in records. Give an address that "
         "needs none."),
    ],
)  # fmt: skip
def test_addresses_that_are_refused_before_anything_is_asked(lab: RemoteLab, source: str, message: str) -> None:
    lab.list_sources(source)
    assert lab.publish_failure() == (2, f"images.yaml, {message}")


# --- offline ----------------------------------------------------------------------------------------------------------


def test_a_plan_works_offline_with_the_last_copies_and_nothing_else_does(lab: RemoteLab, tools: Repository) -> None:
    commit = git(tools.work, "rev-parse", "HEAD")
    repository = f"{lab.site.url}/git/tools.git"
    url = lab.site.url + PATH
    lab.list_sources(
        f"dockerfile: {url}", f"dockerfile: {repository}#main:tool", f"dockerfile: {repository}#{commit}:tool"
    )
    assert lab.failure("plan", "--images", "images.yaml")[0] == 0
    known = lab.plan()
    lab.site.answers |= {path: ("503 Unavailable", {}) for path in (PATH, "/git/tools.git/info/refs")}
    done = lab.run("plan", "--json")
    assert {image["name"]: image["digest"] for image in json.loads(done.out)["images"]} == known
    assert f"skyport-wf: {url} answers with HTTP 503. The copy of an earlier time is used.\n" in done.log
    assert f"{repository}#main was not asked for, as its server failed just now. The copy" in done.log
    assert lab.failure("publish", lab.name) == (75, f"image {lab.name}: {url} answers with HTTP 503.")
    assert lab.failure("build", f"{lab.namespace}/tool:2", "--record", "build.json")[0] == 75
    asked = len(lab.site.requests)
    lab.publish(f"{lab.namespace}/tool:3")
    assert len(lab.site.requests) == asked, "a commit that is here is not asked for"
    shutil.rmtree(lab.folder / "cache")
    assert lab.failure("plan")[0] == 75


def test_snakemake_makes_anew_what_changed_elsewhere_and_nothing_else(lab: RemoteLab, tools: Repository) -> None:
    (lab.folder / "Snakefile").write_text('import skyport_wf\n\n\ninclude: skyport_wf.snakefile("publish")\n')
    source = f"dockerfile: {lab.site.url}{PATH}\n    replace: true"
    lab.list_sources(source, f"dockerfile: {lab.site.url}/git/tools.git#main:tool\n    replace: true")

    def built() -> int:
        done = lab.run_program("snakemake", "publish_all", "--cores", "2", "--nocolor")
        assert done.code == 0, done.log
        return done.log.count("localrule build_image:")

    assert built() == 2
    lab.site.files[PATH] += b"RUN echo two >/made\n"
    assert built() == 1
    receipt = lab.folder / f"results/skyport/{lab.namespace}_tool_1/receipt.json"
    assert json.loads(receipt.read_text())["source"]["dockerfile_url"] == lab.site.url + PATH
    assert lab.shown("/made") == "two\n"
    lab.site.answers |= {path: ("503 Unavailable", {}) for path in (PATH, "/git/tools.git/info/refs")}
    done = lab.run_program("snakemake", "publish_all", "--cores", "2", "--nocolor", "--dry-run")
    assert (done.code, "Nothing to be done" in done.out + done.log) == (0, True), done.log


# --- for lint ---------------------------------------------------------------------------------------------------------


def test_what_an_address_means_now_is_told_if_it_can_change(
    lab: RemoteLab, tools: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_CACHE", lab.variables["SKYPORT_CACHE"])
    commit = git(tools.work, "rev-parse", "HEAD")
    url = f"{lab.site.url}/git/tools.git"

    def source(**fields: str) -> DockerfileSource:
        spec = ImageSpec(lab.name, **fields)  # type: ignore[arg-type]
        return DockerfileSource(spec, lab.folder, RemoteFiles())

    on_branch = source(dockerfile=f"{url}#main:tool")
    git_of = on_branch.materials.git
    assert git_of
    assert (git_of.ref, git_of.commit, git_of.folder) == ("main", commit, "tool")
    git_of = source(context=url, dockerfile="tool/Dockerfile").materials.git
    assert git_of
    assert (git_of.ref, git_of.commit) == (None, commit)
    assert source(dockerfile=lab.site.url + PATH).materials.git is None
    assert on_branch.base == lab.base
    assert source(dockerfile=lab.site.url + PATH).dockerfile == lab.site.files[PATH]
