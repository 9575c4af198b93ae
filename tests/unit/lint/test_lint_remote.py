"""`lint` of images whose Dockerfile or context stands at an address."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerfile_lint import DIGEST, PINNED
from tests.support.lint_folder import LintFolder
from tests.support.remote_site import Repository, Site, remote_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with remote_site(tmp_path / "site") as served:
        yield served


@pytest.fixture
def lab(folder: LintFolder, tmp_path: Path) -> LintFolder:
    folder.variables["SKYPORT_CACHE"] = str(tmp_path / "cache")
    return folder


def write_list(lab: LintFolder, *fields: str) -> None:
    lab.add("images.yaml", "images:\n  - name: lab/tool:1\n" + "".join(f"    {field}\n" for field in fields))


def told(lab: LintFolder) -> list[str]:
    return [f"{one['file']}:{one['line']} {one['code']}" for one in lab.findings("--images", "images.yaml")]


def test_a_dockerfile_over_plain_http(lab: LintFolder, site: Site) -> None:
    site.files["/tool/Dockerfile"] = PINNED.encode() + b"RUN apt-get install -y -q --no-install-recommends a\n"
    address = f"{site.url}/tool/Dockerfile"
    write_list(lab, f"dockerfile: {address}")
    assert told(lab) == ["images.yaml:3 SKY052", f"{address}:2 SKY011"]
    (plain, _) = lab.findings("--images", "images.yaml")
    assert plain["level"] == "info"
    assert plain["message"] == f"{address} comes over plain http: whoever is on the way can change it"
    assert plain["instead"].startswith("`https://127.0.0.1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ref", "says"), [("#main", "`main` is a branch or a tag"), ("", "without a ref, its preferred branch counts")]
)
def test_a_branch_of_a_git_repository(lab: LintFolder, site: Site, ref: str, says: str) -> None:
    repository = Repository(site.repositories, "tools")
    commit = repository.commit({"Dockerfile": "FROM debian\n"})
    address = f"{site.url}/git/tools.git"
    write_list(lab, f"dockerfile: {address}{ref}")
    assert told(lab) == ["images.yaml:3 SKY051", "images.yaml:3 SKY052", f"{address}{ref}:1 SKY001"]
    (branch, *_) = lab.findings("--images", "images.yaml")
    assert branch["level"] == "warning"
    assert (
        branch["message"] == f"of {address}, {says}: it can be another commit at each build, and is {commit[:12]} now"
    )
    assert branch["instead"] == f"`{address}#{commit}`"
    assert lab.lint().code == 3


@pytest.mark.parametrize(("ref", "inside"), [("#main:gc", "gc/"), ("#main", "gc/"), ("", "gc/")])
def test_the_dockerfile_of_a_git_context_has_its_name(lab: LintFolder, site: Site, ref: str, inside: str) -> None:
    Repository(site.repositories, "tools").commit({"gc/my.Dockerfile": "FROM debian\n"})
    address = f"{site.url}/git/tools.git"
    name = "my.Dockerfile" if ref.endswith(":gc") else "gc/my.Dockerfile"
    write_list(lab, f"context: {address}{ref}", f"dockerfile: {name}")
    assert told(lab)[-1] == f"{address}#{ref[1:5]}:{inside}my.Dockerfile:1 SKY001"


@pytest.mark.slow
def test_a_whole_commit_of_a_git_repository(lab: LintFolder, site: Site) -> None:
    commit = Repository(site.repositories, "tools").commit({"gc/Dockerfile": f"FROM debian@{DIGEST}\n"})
    write_list(lab, f"context: {site.url}/git/tools.git#{commit}:gc", "dockerfile: Dockerfile")
    assert told(lab) == ["images.yaml:3 SKY052"]
    assert lab.lint().code == 0


def test_pragmas_in_the_list_and_in_what_was_fetched(lab: LintFolder, site: Site) -> None:
    Repository(site.repositories, "tools").commit({"Dockerfile": "# hadolint ignore=SKY001\nFROM debian\n"})
    write_list(lab, "# hadolint ignore=SKY051,SKY052", f"dockerfile: {site.url}/git/tools.git#main")
    assert told(lab) == []


@pytest.mark.slow
def test_an_address_that_cannot_be_reached_is_temporary_until_there_is_a_copy(lab: LintFolder, tmp_path: Path) -> None:
    with remote_site(tmp_path / "site") as site:
        site.files["/Dockerfile"] = PINNED.encode()
        write_list(lab, f"dockerfile: {site.url}/other")
        missing = lab.lint()
        write_list(lab, f"dockerfile: {site.url}/Dockerfile")
        assert told(lab) == ["images.yaml:3 SKY052"]
    assert missing.code == 1
    assert "image lab/tool:1:" in missing.log
    assert told(lab) == ["images.yaml:3 SKY052"]
    write_list(lab, f"dockerfile: {site.url}/another")
    assert lab.lint().code == 75
