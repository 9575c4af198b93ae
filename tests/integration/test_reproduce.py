"""`skyport-wf reproduce` with a real engine: each verdict, what differs, and that the engine stays as it was."""

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.inspection.rebuild import rebuilt_image
from skyport_wf.sources.resolution import resolve_images
from tests.support.commands import EXAMPLES, Done
from tests.support.engine import PROGRAMS, config_digest, docker, uses_containerd_store, write_image_context
from tests.support.http_server import http_server
from tests.support.lab import Lab

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BUILDERS = ["classic", "buildkit"]
WAIT = "echo it be''gins; sleep 3600"
"""What tells that it runs, and is not to be taken for its own command where a builder shows that."""


class Project(Lab):
    """A folder with an image list and an embedded Shock; what is built in it has a label of its own."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder, SKYPORT_DATA=str(folder / "shock"))
        self.namespace = namespace
        self.name = f"{namespace}/tool:1.0"
        self.label = f"org.example.test={uuid.uuid4().hex}"
        self.images: dict[str, str] = {}

    def add(self, source: str, name: str | None = None) -> None:
        """Put an image into the list; `source` is its fields but for the name."""
        self.images[name or self.name] = source
        self.write_list(*(f"name: '{name}', {fields}" for name, fields in self.images.items()), shock="url: embedded")

    def write_image(self, *instructions: str, fields: str = "", name: str | None = None, folder: str = "tool") -> None:
        """Write a Dockerfile, on busybox unless it says `FROM` itself, and put it into the list."""
        context = self.folder / folder
        context.mkdir(exist_ok=True)
        if not instructions[0].startswith("FROM"):
            shutil.copy(PROGRAMS["busybox"], context / "busybox")
            instructions = ("FROM scratch", "COPY busybox /bin/busybox", *instructions)
        instructions = (instructions[0], f"LABEL {self.label}", *instructions[1:])
        (context / "Dockerfile").write_text("\n".join(instructions) + "\n")
        self.add(f"dockerfile: {folder}/Dockerfile, {fields}", name)

    def run_to(self, code: int, *arguments: str, **variables: str) -> Done:
        """Run a command that has to end with the exit code."""
        done = self.run(*arguments, **variables)
        assert done.code == code, done.out + done.log
        return done

    def publish(self) -> None:
        self.run_to(0, "publish", "--all")

    def reproduce(self, *options: str, code: int, name: str | None = None) -> Any:
        """Return the report."""
        return json.loads(self.run_to(code, "reproduce", name or self.name, "--json", *options).out)

    def message(self, *options: str, code: int, **variables: str) -> str:
        """Return what it fails with."""
        return self.run_to(code, "reproduce", self.name, "--quiet", *options, **variables).log

    def left(self) -> set[str]:
        """Return ids of images, and names of containers, that have this project's label."""
        images = docker("image", "ls", "--all", "--quiet", "--no-trunc", "--filter", f"label={self.label}").split()
        containers = docker("ps", "--all", "--quiet", "--filter", f"label={self.label}").split()
        return {*images, *containers}

    def names(self) -> dict[str, str]:
        """Return the id of each image whose name has this project's namespace in it."""
        listed = docker("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        return dict(line.split() for line in listed if self.namespace in line)  # type: ignore[misc]


@pytest.fixture
def project(tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for variable in ("SHOCK_URL", "KB_AUTH_TOKEN", "SHOCK_TOKEN_FILE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "shock"))
    made = Project(tmp_path, namespace)
    yield made
    for image in docker("image", "ls", "--all", "--quiet", "--filter", f"label={made.label}").split():
        subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)


def members(*files: tuple[str, bytes] | tarfile.TarInfo, mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in files:
            info = file if isinstance(file, tarfile.TarInfo) else tarfile.TarInfo(file[0])
            content = b"" if isinstance(file, tarfile.TarInfo) else file[1]
            info.size, info.mode = len(content), info.mode if isinstance(file, tarfile.TarInfo) else mode
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def special(
    name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = "", uid: int = 0
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.uid = kind, mode, target, uid
    return info


@pytest.fixture
def outside() -> Iterator[tuple[dict[str, bytes], int]]:
    """Serve files that no build context holds; yield them by path, to be changed, and the port."""
    served: dict[str, bytes] = {}

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        found = served.get(environ["PATH_INFO"])
        start("200 OK" if found is not None else "404 Not Found", [("Content-Length", str(len(found or b"")))])
        return [found or b""]

    with http_server(app) as port:
        yield served, port


@pytest.fixture
def fetching(project: Project, outside: tuple[dict[str, bytes], int]) -> Callable[[bytes], None]:
    """Write an image that unpacks what a server has; return what changes it there."""
    served, port = outside
    project.write_image(f'RUN ["/bin/busybox", "wget", "-q", "-O", "/x.tar", "http://127.0.0.1:{port}/x.tar"]',
                  'RUN ["/bin/busybox", "tar", "-x", "-f", "/x.tar", "-C", "/"]',
                  'RUN ["/bin/busybox", "rm", "/x.tar"]')  # fmt: skip

    def serve(content: bytes) -> None:
        served["/x.tar"] = content

    return serve


def changes(report: Any, which: str = "files") -> dict[str, list[str]]:
    return {change["path"]: [change["how"], *change["what"]] for change in report[which]["listed"]}


# -- verdicts


def test_the_example(namespace: str, tmp_path: Path, project: Project) -> None:
    """As its README says: identical, the same contents, drifted."""
    shutil.copytree(EXAMPLES / "reproduce", tmp_path, dirs_exist_ok=True)
    listed = tmp_path / "images.yaml"
    listed.write_text(listed.read_text().replace("example/", f"{namespace}/"))
    project.publish()
    before = project.names()
    shown = {}
    for name, verdict, code in (
        ("settings", "identical", 0),
        # Only on containerd's store does the engine build byte for byte what has a source date.
        ("greet", "identical" if uses_containerd_store() else "same contents", 0),
        ("dated", "drifted", 3),
    ):
        done = project.run_to(code, "reproduce", f"{namespace}/{name}:1.0", "--quiet", "--record", "report.json")
        shown[name] = done.out.splitlines()
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["verdict"] == verdict
        assert shown[name][0].startswith(f"{verdict}: {namespace}/{name}:1.0 ")
        assert (report["published_id"] == report["rebuilt_id"]) == (verdict == "identical")
        assert report["published_id"] == config_digest(f"{namespace}/{name}:1.0")
        assert report["changed_inputs"] == []
    assert changes(report) == {"/etc/built": ["changed", "content"]}
    assert changes(report, "traces") == {"/var/log/build.log": ["changed", "content"]}
    assert project.names() == before
    assert [line.split()[0] for line in shown["settings"]] == ["identical:", "published", "rebuilt"]
    assert ["changed", "content", "/etc/built"] in [line.split() for line in shown["dated"]]


def test_a_package_that_moved(project: Project, outside: tuple[dict[str, bytes], int]) -> None:
    """Debian's own tools build the package, offer it, and install it; only the repository changes."""
    served, port = outside
    project.write_image(
        "FROM debian:bookworm",
        "RUN rm -rf /etc/apt/sources.list* "
        f"&& echo 'deb [trusted=yes] http://127.0.0.1:{port} ./' > /etc/apt/sources.list "
        "&& apt-get update && apt-get install -y skyport-tool",
    )
    served.update(repository(project.folder, "1.2-1"))
    project.publish()
    served.update(repository(project.folder, "1.2-2"))
    text = project.run_to(3, "reproduce", project.name, "--quiet", "--record", "report.json").out
    assert ["Debian", "skyport-tool", "1.2-1", "1.2-2"] in [line.split() for line in text.splitlines()]
    assert text.startswith(f"drifted: {project.name} differs in 1 package, ")
    report = json.loads((project.folder / "report.json").read_text())
    assert report["packages"] == [
        {"kind": "deb", "name": "skyport-tool", "architecture": "all", "published": "1.2-1", "rebuilt": "1.2-2"}
    ]
    assert report["changed_inputs"] == [], "the source is the same"
    info = "/var/lib/dpkg/info/skyport-tool.md5sums"
    assert set(changes(report)) == {"/usr/share/skyport-tool", "/var/lib/dpkg/status", info}
    traces = changes(report, "traces")
    assert {"/var/log/dpkg.log", "/var/log/apt/history.log"} <= set(traces)
    assert "/var/lib/dpkg/status" not in traces


def repository(folder: Path, version: str) -> dict[str, bytes]:
    """Return the files of a repository with one package, by the path that apt asks for."""
    tree = folder / f"package-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: skyport-tool\nVersion: {version}\nArchitecture: all\nMaintainer: me <me@example.org>\n"
    (tree / "DEBIAN/control").write_text(control + "Description: a tool\n")
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/skyport-tool").write_text(version)
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", tree, folder / "x.deb"], check=True, capture_output=True
    )
    content = (folder / "x.deb").read_bytes()
    index = f"{control}Filename: ./x.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    return {"/./x.deb": content, "/x.deb": content, "/./Packages": (index + "Description: a tool\n").encode()}


def test_files(project: Project, fetching: Callable[[bytes], None]) -> None:
    link = special("link", kind=tarfile.SYMTYPE, target="a")
    fetching(members(("gone", b"1"), ("content", b"1"), special("mode"), special("owner"), ("same", b"1"), link))
    project.publish()
    link.linkname = "b"
    fetching(
        members(
            ("new", b"1"),
            ("content", b"2"),
            special("mode", mode=0o4755),
            special("owner", uid=7),
            ("same", b"1"),
            link,
        )
    )
    report = project.reproduce(code=3)
    assert changes(report) == {
        "/content": ["changed", "content"], "/gone": ["removed"], "/link": ["changed", "link"],
        "/mode": ["changed", "mode"], "/new": ["added"], "/owner": ["changed", "owner"],
    }  # fmt: skip
    counts = {how: report["files"][how] for how in ("added", "removed", "changed")}
    assert counts == {"added": 1, "removed": 1, "changed": 4}
    mode = next(change for change in report["files"]["listed"] if change["path"] == "/mode")
    assert (mode["published"]["mode"], mode["rebuilt"]["mode"]) == ("0644", "4755")
    text = project.run_to(3, "reproduce", project.name, "--quiet", "--paths", "3").out.splitlines()
    assert "Files: 1 added, 1 removed, 4 changed" in text
    assert text[text.index("... and 3 more") - 1].split() == ["changed", "link", "a", "->", "b", "/link"]


def test_what_is_ignored(project: Project, fetching: Callable[[bytes], None]) -> None:
    fetching(members(("var/log/x", b"1"), ("opt/data", b"1")))
    project.publish()
    fetching(members(("var/log/x", b"2"), ("opt/data", b"2")))
    both = project.reproduce(code=3)
    assert (set(changes(both)), set(changes(both, "traces"))) == ({"/opt/data"}, {"/var/log/x"})
    none = project.reproduce("--ignore", "/opt/*", "--ignore-traces", code=0)
    assert (none["verdict"], none["files"]["changed"], none["ignored"]) == ("same contents", 0, 1)
    assert none["traces"]["changed"] == 1
    assert "matches nothing: paths begin with /" in project.message("--ignore", "opt/*", code=2)


def test_metadata_and_a_changed_source(project: Project) -> None:
    """Names that a terminal would act upon are shown without what it would act upon."""
    project.write_image("COPY greeting /greeting", "ENV A=1 B=1", 'CMD ["/bin/sh"]')
    (project.folder / "tool/greeting").write_text("hello")
    project.publish()
    dockerfile = project.folder / "tool/Dockerfile"
    text = dockerfile.read_text().replace("A=1 B=1", "A=2 C=1").replace('CMD ["/bin/sh"]', "USER 5")
    dockerfile.write_text(f'{text}LABEL odd="\x1b[31mred"\n')
    (project.folder / "tool/greeting").write_text("goodbye")
    done = project.run_to(3, "reproduce", project.name, "--quiet", "--record", "{key}.json")
    report = json.loads((project.folder / f"{project.name.replace('/', '_').replace(':', '_')}.json").read_text())
    assert report["changed_inputs"] == ["another Dockerfile", "another build context"]
    found = {change["field"]: (change["published"], change["rebuilt"]) for change in report["metadata"]}
    steps = {field for field in found if field.startswith("history ")}
    assert {field: values for field, values in found.items() if field not in steps} == {
        "Env A": ("1", "2"), "Env B": ("1", None), "Env C": (None, "1"), "Cmd": ('["/bin/sh"]', None),
        "User": (None, "5"), "Labels odd": (None, "\x1b[31mred"),
    }  # fmt: skip
    assert steps
    assert changes(report) == {"/greeting": ["changed", "content"]}
    assert "Not as when it was published:\n- another Dockerfile\n- another build context\n" in done.out
    assert "[31mred" in done.out
    assert "\x1b" not in done.out


def test_a_snapshot_and_its_script(project: Project) -> None:
    write_image_context(project.folder)
    docker(
        "build",
        "--quiet",
        "--network=host",
        "--tag",
        f"{project.namespace}/base:1",
        "--label",
        project.label,
        str(project.folder),
    )
    script = project.folder / "install.sh"
    script.write_text("#!/bin/bash\necho 1 > /etc-version\n")
    project.add(f"snapshot: {{base: '{project.namespace}/base:1', script: install.sh}}")
    project.publish()
    before = project.left(), project.names()
    assert project.reproduce(code=0)["verdict"] == "same contents"
    script.write_text("#!/bin/bash\necho 2 > /etc-version\n")
    report = project.reproduce(code=3)
    assert (report["changed_inputs"], changes(report)) == (["another script"], {"/etc-version": ["changed", "content"]})
    assert (project.left(), project.names()) == before
    script.write_text("#!/bin/bash\necho it broke\nexit 4\n")
    assert "ended with exit code 4. The last it printed:\n  | it broke" in project.message(code=1)
    assert (project.left(), project.names()) == before
    assert "--pull is for images that have a Dockerfile" in project.message("--pull", code=2)


def test_a_flattened_image(project: Project) -> None:
    project.write_image("COPY Dockerfile /again", fields="flatten: true")
    project.publish()
    before = project.left(), project.names()
    assert project.reproduce(code=0)["verdict"] == "same contents"
    assert (project.left(), project.names()) == before


# -- images that are built on others


def test_what_it_is_built_on_comes_as_published(project: Project) -> None:
    base = f"{project.namespace}/base:1"
    project.write_image("COPY Dockerfile /base", name=base, folder="base")
    project.write_image(f"FROM {base}", f"COPY --from={base} /bin/busybox /bin/more", fields=f"base: '{base}'")
    project.publish()
    docker("image", "rm", project.name, base)
    assert project.left() == set()
    assert project.reproduce(code=0)["verdict"] == "same contents"
    assert set(project.names()) == {base}, "fetched, and left as every build leaves it"
    assert "built on" in project.message("--pull", code=2)

    (project.folder / "base/sh2").write_text("other")
    docker("build", "--quiet", "--network=host", "--tag", base, "--label", "other=1", str(project.folder / "base"))
    mine = docker("image", "inspect", "--format", "{{.Id}}", base)
    report = project.reproduce(code=0)
    assert report["verdict"] == "same contents"
    assert not any("base image" in what for what in report["changed_inputs"]), report["changed_inputs"]
    assert docker("image", "inspect", "--format", "{{.Id}}", base) == mine, "the user's own name stays where it is"


# -- what cannot be compared


def test_not_published(project: Project) -> None:
    project.write_image("COPY Dockerfile /x")
    assert f"finds no image {project.name}" in project.message(code=1)
    assert project.left() == set(), "nothing was built"


def test_a_name_that_is_not_in_the_list(project: Project) -> None:
    project.write_image("COPY Dockerfile /x")
    assert "is not in the image list" in project.run_to(2, "reproduce", "lab/nothing:1").log


def test_a_shock_that_does_not_answer(project: Project) -> None:
    project.write_image("COPY Dockerfile /x")
    project.message(code=75, SHOCK_URL="http://127.0.0.1:9", SKYPORT_RETRY_SECONDS="0", KB_AUTH_TOKEN="x")
    assert project.left() == set()


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("container: abc", "a container that someone prepared by hand"),
        ("image: 'lab/x:1'", "an image that the engine had"),
        ("archive: x.tar", "an archive"),
    ],
)
def test_sources_that_say_not_how(project: Project, source: str, what: str) -> None:
    project.add(source)
    (project.folder / "x.tar").touch()
    assert f"{project.name} comes from {what}, which cannot be made again" in project.message(code=2)


def test_a_damaged_file_on_shock(project: Project) -> None:
    project.write_image("COPY Dockerfile /x")
    project.publish()
    before = project.left(), project.names()
    (file,) = (path for path in project.folder.glob("shock/files/*/*") if path.stat().st_size > 500_000)
    file.chmod(0o600)
    with file.open("r+b") as stored:
        stored.seek(300_000)
        stored.write(bytes(1000))
    assert "damaged" in project.message(code=1)
    assert (project.left(), project.names()) == before


# -- the engine stays as it was


@pytest.mark.parametrize("builder", BUILDERS)
def test_tags_stay_where_they_are(project: Project, builder: str) -> None:
    """Even a tag that someone has moved to another image, and images of stages that nobody names."""
    project.write_image(
        "FROM scratch AS stage",
        "COPY Dockerfile /a",
        "FROM scratch",
        "COPY --from=stage /a /b",
        fields=f"builder: {builder}",
    )
    project.publish()
    published = config_digest(project.name)
    docker("image", "tag", "debian:bookworm", project.name)
    before = project.left(), project.names()
    report = project.reproduce(code=0)
    assert (report["published_id"], report["kept_as"]) == (published, None)
    assert (project.left(), project.names()) == before
    assert report["node"] == project.do("resolve", project.name)["node"]


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_build_that_fails(project: Project, builder: str) -> None:
    project.write_image("COPY Dockerfile /x", fields=f"builder: {builder}")
    project.publish()
    before = project.left(), project.names()
    with (project.folder / "tool/Dockerfile").open("a") as dockerfile:
        dockerfile.write('COPY Dockerfile /y\nRUN ["/bin/busybox", "false"]\nCOPY Dockerfile /z\n')
    message = project.message(code=1)
    assert f"/{project.name} failed at\n  RUN [" in message
    assert (project.left(), project.names()) == before


def test_keep(project: Project) -> None:
    project.write_image("COPY Dockerfile /x")
    project.publish()
    before = project.names()
    done = project.run_to(0, "reproduce", project.name, "--keep", "--record", "report.json")
    report = json.loads((project.folder / "report.json").read_text())
    kept = report["kept_as"]
    assert kept.endswith(f"/{project.name}")
    names = project.names()
    assert names == {**before, kept: names[kept]}
    assert config_digest(kept) == report["rebuilt_id"]
    assert f"kept as {kept}" in done.out
    assert f"is kept as {kept}" in done.log
    docker("image", "rm", kept)


@pytest.mark.parametrize(
    ("builder", "number"),
    [
        ("classic", signal.SIGINT),
        ("classic", signal.SIGTERM),
        ("buildkit", signal.SIGTERM),
        ("snapshot", signal.SIGINT),
    ],
)
def test_an_interruption(project: Project, builder: str, number: signal.Signals) -> None:
    """While a step runs that would take an hour; as a terminal or a workflow engine interrupts it."""
    if builder == "snapshot":
        write_image_context(project.folder)
        names = ("--tag", f"{project.namespace}/base:1", "--label", project.label)
        docker("build", "--quiet", "--network=host", *names, str(project.folder))
        script = project.folder / "install.sh"
        script.write_text("#!/bin/bash\n")
        project.add(f"snapshot: {{base: '{project.namespace}/base:1', script: install.sh}}")
        project.publish()
        script.write_text(f"#!/bin/bash\n{WAIT}\n")
    else:
        project.write_image("COPY Dockerfile /x", fields=f"builder: {builder}")
        project.publish()
        with (project.folder / "tool/Dockerfile").open("a") as dockerfile:
            dockerfile.write(f'COPY Dockerfile /y\nRUN ["/bin/busybox", "sh", "-c", "{WAIT}"]\n')
    before = project.left(), project.names()
    with project.start("reproduce", project.name) as process:
        process.wait_for("it begins")
        process.send_signal(number)
        _, rest = process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else 143), rest
    assert "Traceback" not in rest
    assert (project.left(), project.names()) == before


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_end_while_the_images_are_compared(project: Project, ending: type[BaseException]) -> None:
    project.write_image("COPY Dockerfile /x", fields="builder: classic")
    images = read_image_list(project.folder / "images.yaml")
    image = resolve_images(images, project.folder, [project.name])[project.name]
    with pytest.raises(ending), rebuilt_image(connect(), image, {}, lambda text: None) as rebuilt:
        assert rebuilt.made.id in project.left()
        assert set(project.names()) == {rebuilt.name}
        raise ending
    assert project.left() == set()


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_interruption_while_output_is_shown(project: Project, builder: str) -> None:
    """The step that has just said something would go on for an hour, and would use what is to be removed."""
    project.write_image(
        "COPY Dockerfile /x", f'RUN ["/bin/busybox", "sh", "-c", "{WAIT}"]', fields=f"builder: {builder}"
    )
    images = read_image_list(project.folder / "images.yaml")
    image = resolve_images(images, project.folder, [project.name])[project.name]

    def show(text: str) -> None:
        if "it begins" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), rebuilt_image(connect(), image, {}, show):
        pass
    assert project.left() == set()


def test_an_interruption_between_two_reads(project: Project) -> None:
    """In the code of the package `docker`: its frames, which the traceback keeps, keep the connection."""
    project.write_image("COPY Dockerfile /x", f'RUN ["/bin/busybox", "sh", "-c", "{WAIT}"]', fields="builder: classic")
    images = read_image_list(project.folder / "images.yaml")
    image = resolve_images(images, project.folder, [project.name])[project.name]

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "_stream_helper":
            sys.setprofile(None)
            raise KeyboardInterrupt

    def show(text: str) -> None:
        if "it begins" in text:
            sys.setprofile(interrupt)

    with pytest.raises(KeyboardInterrupt), rebuilt_image(connect(), image, {}, show):
        pass
    assert project.left() == set()
