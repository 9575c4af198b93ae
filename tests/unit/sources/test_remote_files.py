"""Addresses are asked once for a command, again while they fail for a moment, and not at all for what is here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.digests import digest_of
from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError, TemporaryError, UsageError
from skyport_wf.image_list.addresses import FileAddress, GitAddress
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.resolution import resolve_images
from tests.support.remote_site import DOCKERFILE, Repository, Site, git, remote_site

PATH = "/Dockerfile"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with remote_site(tmp_path / "repositories") as served:
        served.files[PATH] = DOCKERFILE
        yield served


@pytest.fixture
def tools(site: Site) -> Repository:
    repository = Repository(site.repositories, "tools")
    for name in ("a", "b"):
        repository.commit({f"{name}/Dockerfile": f"FROM {name}\n"})
    return repository


def source(folder: Path, remote: RemoteFiles | None = None, **fields: str) -> DockerfileSource:
    spec = ImageSpec("lab/a:1", **fields)  # type: ignore[arg-type]
    return DockerfileSource(spec, folder, remote or RemoteFiles())


def test_a_build_gets_the_bytes_that_were_digested_whatever_happens_meanwhile(site: Site, tmp_path: Path) -> None:
    remote = RemoteFiles()
    first = source(tmp_path, remote, dockerfile=site.url + PATH)
    facts = first.describe({}, connect)
    site.files[PATH] = b"FROM another\n"
    assert digest_of(first.dockerfile) == facts.dockerfile_digest
    assert first.materials.context.dockerfile.read_bytes() == DOCKERFILE
    assert source(tmp_path, remote, dockerfile=site.url + PATH).dockerfile == DOCKERFILE
    assert len(site.requests) == 1
    again = source(tmp_path, dockerfile=site.url + PATH)
    assert again.describe({}, connect).digest != facts.digest


def test_the_context_of_a_fetched_dockerfile_is_empty_and_stays_so(site: Site, tmp_path: Path) -> None:
    root = source(tmp_path, dockerfile=site.url + PATH).materials.context.root
    assert list(root.iterdir()) == []
    (root / "left").write_text("")
    with pytest.raises(SkyportError, match=r"empty has to be empty: .* Empty it\.$"):
        source(tmp_path, dockerfile=site.url + PATH)


def test_a_context_beside_a_fetched_dockerfile_that_is_not_there(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        source(tmp_path, dockerfile=site.url + PATH, context="nope")
    assert str(caught.value) == (
        f"image lab/a:1: there is no folder {tmp_path}/nope. Mend `context` in the image list."
    )


@pytest.mark.slow
def test_many_folders_of_a_branch_take_one_question_and_are_of_one_commit(site: Site, tools: Repository) -> None:
    repository = f"{site.url}/git/tools.git"
    remote = RemoteFiles()
    first = remote.fetch_folder(GitAddress(repository, "main", "a"))
    asked = len(site.requests)
    tools.commit({"b/Dockerfile": "FROM c\n"})
    second = remote.fetch_folder(GitAddress(repository, "main", "b"))
    assert second.origin.commit == first.origin.commit
    assert len(site.requests) == asked
    assert RemoteFiles().fetch_folder(GitAddress(repository, "main", "b")).origin.commit != first.origin.commit


def test_a_server_that_is_back_in_a_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    site.answers[PATH] = ("503 no", {})
    asked = site.requests.append

    class Counting(list[tuple[str, str, int]]):
        def append(self, request: tuple[str, str, int]) -> None:
            asked(request)
            if request[2] == 503:
                site.answers.clear()

    before, site.requests = site.requests, Counting()
    assert RemoteFiles().fetch_file(FileAddress(site.url + PATH)).read_bytes() == DOCKERFILE
    assert [status for _, _, status in before] == [503, 200]


def test_with_a_last_copy_nobody_waits_for_a_server_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "3600")
    address = FileAddress(site.url + PATH)
    RemoteFiles().fetch_file(address)
    site.answers[PATH] = ("503 no", {})
    remote = RemoteFiles(last_copies=True)
    assert remote.fetch_file(address).read_bytes() == DOCKERFILE
    assert remote.fetch_file(address).read_bytes() == DOCKERFILE
    assert [status for _, _, status in site.requests] == [200, 503]


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden"])
def test_a_last_copy_is_not_for_what_a_server_says_is_not_there(site: Site, status: str) -> None:
    address = FileAddress(site.url + PATH)
    RemoteFiles().fetch_file(address)
    site.answers[PATH] = (status, {})
    with pytest.raises(SkyportError) as caught:
        RemoteFiles(last_copies=True).fetch_file(address)
    assert not isinstance(caught.value, TemporaryError)


def test_what_publishes_takes_no_last_copy(site: Site) -> None:
    address = FileAddress(site.url + PATH)
    RemoteFiles(last_copies=True).fetch_file(address)
    site.answers[PATH] = ("503 no", {})
    assert RemoteFiles(last_copies=True).fetch_file(address)
    with pytest.raises(TemporaryError):
        RemoteFiles().fetch_file(address)


@pytest.mark.slow
def test_a_commit_that_is_here_is_not_asked_for(site: Site, tools: Repository) -> None:
    commit = git(tools.work, "rev-parse", "HEAD")
    address = GitAddress(f"{site.url}/git/tools.git", commit, "a")
    RemoteFiles().fetch_folder(address)
    asked = len(site.requests)
    assert RemoteFiles().fetch_folder(address).origin.commit == commit
    assert len(site.requests) == asked


@pytest.mark.slow
def test_the_last_commit_of_a_branch_is_of_use_only_if_its_files_are_here(site: Site, tools: Repository) -> None:
    address = GitAddress(f"{site.url}/git/tools.git", "main", "a")
    folder = RemoteFiles(last_copies=True).fetch_folder(address)
    site.answers["/git/tools.git/info/refs"] = ("503 no", {})
    assert RemoteFiles(last_copies=True).fetch_folder(address) == folder
    (folder.path.parents[1] / "submodules.json").unlink()
    with pytest.raises(TemporaryError):
        RemoteFiles(last_copies=True).fetch_folder(address)


def test_notes_that_were_damaged_count_for_nothing(site: Site, tmp_path: Path) -> None:
    address = FileAddress(site.url + PATH)
    RemoteFiles().fetch_file(address)
    (note,) = (tmp_path / "cache/files").iterdir()
    note.write_bytes(b'{"content": 7')
    assert RemoteFiles().fetch_file(address).read_bytes() == DOCKERFILE
    assert [status for _, _, status in site.requests] == [200, 200]


def test_what_an_address_does_not_have_is_told_of_its_images_and_keeps_no_other_from_being_known(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    (tmp_path / "Dockerfile").write_text("FROM lab/nothing:1\n")
    images = ImageList(
        (
            ImageSpec("lab/gone:1", dockerfile=f"{site.url}/gone"),
            ImageSpec("lab/nothing:1", registry=f"{site.url.removeprefix('http://')}/lab/nothing:1"),
            ImageSpec("lab/good:1", dockerfile=site.url + PATH),
            ImageSpec("lab/on:1", dockerfile="Dockerfile"),
        )
    )
    unknown: dict[str, SkyportError] = {}
    assert list(resolve_images(images, tmp_path, unknown=unknown)) == ["lab/good:1"]
    assert str(unknown["lab/gone:1"]).startswith(f"image lab/gone:1: there is no {site.url}/gone (HTTP 404).")
    assert str(unknown["lab/nothing:1"]).startswith("image lab/nothing:1: there is no 127.0.0.1:")
    assert unknown["lab/on:1"] is unknown["lab/nothing:1"]
    with pytest.raises(SkyportError, match=r"^image lab/gone:1: there is no "):
        resolve_images(images, tmp_path)


def test_a_mistake_in_the_list_is_told_at_once(site: Site, tmp_path: Path) -> None:
    images = ImageList((ImageSpec("lab/a:1", dockerfile=site.url + PATH, context="nope"),))
    with pytest.raises(UsageError, match="nope"):
        resolve_images(images, tmp_path, unknown={})
