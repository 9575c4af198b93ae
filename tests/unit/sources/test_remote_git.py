"""Repositories on web servers, good and bad: real git, through its own `http-backend` or as plain files."""

import contextlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.image_list.addresses import GitAddress, parse_address
from skyport_wf.sources.remote import git_command
from skyport_wf.sources.remote.checkouts import Checkout, check_out, find_checkout, find_inside
from skyport_wf.sources.remote.git_command import ask_server
from skyport_wf.sources.remote.git_refs import resolve_ref
from tests.support.http_server import make_authority
from tests.support.remote_site import COMMIT_TIME, Repository, Site, git, remote_site
from tests.support.timing import PATIENCE, allowance, wait_until

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder and a cache of their own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with remote_site(tmp_path / "repositories") as served:
        yield served


@pytest.fixture
def tools(site: Site) -> Repository:
    repository = Repository(site.repositories, "tools")
    repository.commit({"Dockerfile": "FROM scratch\n", "velvet/Dockerfile": "FROM a\n", "velvet/run": "1\n"})
    return repository


def address(site: Site, fragment: str = "", *, name: str = "tools", way: str = "git") -> GitAddress:
    parsed = parse_address(f"{site.url}/{way}/{name}.git{fragment}")
    assert isinstance(parsed, GitAddress)
    return parsed


def files(checkout: Checkout) -> dict[str, str]:
    found = (path for path in checkout.tree.rglob("*") if path.is_file())
    return {path.relative_to(checkout.tree).as_posix(): path.read_text() for path in found}


def failure(call: object, *arguments: object) -> str:
    with pytest.raises(SkyportError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert not isinstance(caught.value, TemporaryError), caught.value
    return str(caught.value)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", ["git", "dumb"])
def test_branches_and_tags_are_resolved(site: Site, tools: Repository, way: str) -> None:
    first = tools.commit({"velvet/run": "2\n"})
    git(tools.bare, "tag", "v1", first)
    git(tools.bare, "tag", "--annotate", "--message", "m", "v2", first)
    second = tools.commit({"velvet/run": "3\n"}, branch="next")
    git(tools.bare, "tag", "next", first)
    git(tools.bare, "update-server-info")
    wanted = {
        "": first, "#": first, "#main": first, "#HEAD": first, "#v1": first, "#v2": first, "#refs/heads/next": second,
        "#next": first, "#heads/next": second,
    }  # fmt: skip
    assert {fragment: resolve_ref(address(site, fragment, way=way)) for fragment in wanted} == wanted


def test_a_commit_is_not_asked_for(site: Site, tools: Repository) -> None:
    assert resolve_ref(address(site, "#" + "AB" * 20)) == "ab" * 20
    assert not site.requests


@pytest.mark.parametrize("ref", ["nowhere", "refs/heads/nowhere", "0123456", "velvet"])
def test_a_name_that_is_not_there(site: Site, tools: Repository, ref: str) -> None:
    url = f"{site.url}/git/tools.git"
    assert failure(resolve_ref, address(site, f"#{ref}")) == (
        f"{url} has no branch or tag {ref!r}. `git ls-remote {url}` lists what there is; a commit needs all its digits."
    )


def test_an_empty_repository_has_no_branch(site: Site) -> None:
    Repository(site.repositories, "empty")
    assert "has no branch or tag 'HEAD'" in failure(resolve_ref, address(site, name="empty"))


# --- commits ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", ["git", "old git", "dumb"])
def test_exactly_the_commit_is_checked_out(site: Site, tools: Repository, way: str) -> None:
    first = git(tools.work, "rev-parse", "HEAD")
    tools.commit({"velvet/run": "2\n", "velvet/Dockerfile": None})
    site.git_protocol = way != "old git"
    there = address(site, way=way.rpartition(" ")[2])
    assert files(check_out(there, first)) == {
        "Dockerfile": "FROM scratch\n", "velvet/Dockerfile": "FROM a\n", "velvet/run": "1\n"
    }  # fmt: skip


@pytest.mark.slow
def test_one_commit_is_fetched_and_fetched_once(site: Site, tools: Repository) -> None:
    for number in range(5):
        head = tools.commit({"velvet/run": f"{number}\n"})
    assert find_checkout(address(site).repository, head) is None
    checkout = check_out(address(site), head)
    asked = len(site.requests)
    assert check_out(address(site, "#main:velvet"), head) == checkout == find_checkout(address(site).repository, head)
    assert len(site.requests) == asked


def test_a_commit_of_sha256(site: Site) -> None:
    new = Repository(site.repositories, "new", "--object-format=sha256")
    head = new.commit({"a": "1\n"})
    assert len(head) == 64
    assert resolve_ref(address(site, "#main", name="new")) == head
    assert files(check_out(address(site, name="new"), head)) == {"a": "1\n"}


@pytest.mark.parametrize("way", ["git", "old git", "dumb"])
def test_a_commit_that_is_not_there(site: Site, tools: Repository, way: str) -> None:
    site.git_protocol = way != "old git"
    there = address(site, way=way.rpartition(" ")[2])
    assert failure(check_out, there, "ab" * 20) == (
        f"{there.repository} has no commit {'ab' * 20}, or in none of its branches and tags."
    )
    assert leftovers(there) == []


def test_an_object_that_is_no_commit(site: Site, tools: Repository) -> None:
    tree = git(tools.work, "rev-parse", "HEAD^{tree}")
    assert failure(check_out, address(site), tree).endswith(" is a tree, not a commit. Give the commit's digits.")


def leftovers(there: GitAddress) -> list[Path]:
    return list((Path(os.environ["SKYPORT_CACHE"]) / "git").iterdir())


@pytest.mark.slow
def test_modes_and_times_are_those_of_git_whatever_the_umask(site: Site, tools: Repository) -> None:
    (tools.work / "velvet/run").chmod(0o777)
    (tools.work / "velvet/link").symlink_to("run")
    (tools.work / "a name\nof two lines").write_text("x")
    head = tools.push()
    before = os.umask(0o077)
    try:
        tree = check_out(address(site), head).tree
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE((tree / path).lstat().st_mode) for path in (".", "velvet", "velvet/run", "Dockerfile")}
    assert modes == {".": 0o755, "velvet": 0o755, "velvet/run": 0o755, "Dockerfile": 0o644}
    assert (tree / "velvet/link").readlink() == Path("run")
    assert (tree / "a name\nof two lines").read_text() == "x"
    assert {path.lstat().st_mtime for path in (tree, *tree.rglob("*"))} == {float(COMMIT_TIME)}
    assert not (tree / ".git").exists()


def test_the_cache_is_closed_to_others(site: Site, tools: Repository) -> None:
    check_out(address(site), git(tools.work, "rev-parse", "HEAD"))
    assert stat.S_IMODE(Path(os.environ["SKYPORT_CACHE"]).stat().st_mode) == 0o700


def test_a_cache_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site: Site) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "file"))
    assert failure(check_out, address(site), "ab" * 20).endswith("Choose another folder with SKYPORT_CACHE.")
    monkeypatch.setenv("SKYPORT_CACHE", "here")
    assert failure(check_out, address(site), "ab" * 20) == (
        "the variable SKYPORT_CACHE is 'here'. Give it an absolute path."
    )


@pytest.mark.slow
def test_a_checkout_that_was_damaged_is_made_again(site: Site, tools: Repository) -> None:
    head = git(tools.work, "rev-parse", "HEAD")
    checkout = check_out(address(site), head)
    (checkout.tree.parent / "submodules.json").unlink()
    (checkout.tree / "Dockerfile").unlink()
    partial = checkout.tree.parent.with_name(checkout.tree.parent.name + ".part")
    (partial / "repository").mkdir(parents=True)
    assert files(check_out(address(site), head))["Dockerfile"] == "FROM scratch\n"
    assert leftovers(address(site)) == [checkout.tree.parent]


@pytest.mark.slow
def test_checkouts_that_nobody_wants_any_more_are_removed(site: Site, tools: Repository) -> None:
    old = check_out(address(site), git(tools.work, "rev-parse", "HEAD"))
    os.utime(old.tree.parent, (1, 1))
    head = tools.commit({"velvet/run": "2\n"})
    new = check_out(address(site), head)
    assert leftovers(address(site)) == [new.tree.parent]


@pytest.mark.slow
def test_many_processes_that_want_one_commit_fetch_it_once(site: Site, tools: Repository) -> None:
    head = git(tools.work, "rev-parse", "HEAD")
    program = (
        "import sys\n"
        "from skyport_wf.image_list.addresses import GitAddress\n"
        "from skyport_wf.sources.remote.checkouts import check_out\n"
        "print(check_out(GitAddress(sys.argv[1]), sys.argv[2]).tree)"
    )
    command = [sys.executable, "-c", program, f"{site.url}/git/tools.git", head]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    trees = {process.communicate(timeout=PATIENCE)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(trees) == 1
    assert [method for method, path, _ in site.requests if path.endswith("git-upload-pack")].count("POST") <= 2
    (tree,) = trees
    assert (Path(tree) / "velvet/run").read_text() == "1\n"


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_folders_of_a_checkout(site: Site, tools: Repository) -> None:
    (tools.work / "deep/er").mkdir(parents=True)
    (tools.work / "deep/er/file").write_text("")
    (tools.work / "out").symlink_to("/etc")
    (tools.work / "in").symlink_to("deep")
    checkout = check_out(address(site), tools.push())
    assert find_inside(checkout, "") == checkout.tree
    assert find_inside(checkout, "deep/er") == checkout.tree / "deep/er"
    for folder in ("out", "out/ssh", "in/er", "in", "deep/er/file", "nowhere", ".git"):
        assert find_inside(checkout, folder) is None


def test_submodules_are_told_but_not_fetched(site: Site, tools: Repository) -> None:
    head = git(tools.work, "rev-parse", "HEAD")
    (tools.work / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = velvet/other\n\turl = file://{site.repositories}/tools.git\n'
    )
    git(tools.work, "update-index", "--add", "--cacheinfo", f"160000,{head},velvet/other")
    git(tools.work, "add", ".gitmodules")
    git(tools.work, "commit", "--quiet", "--message", "m")
    git(tools.work, "push", "--quiet", str(tools.bare), "HEAD:refs/heads/main")
    checkout = check_out(address(site), git(tools.work, "rev-parse", "HEAD"))
    assert checkout.submodules == ("velvet/other",)
    assert list((checkout.tree / "velvet/other").iterdir()) == []


# --- what must not happen ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_hook_no_filter_no_template_runs(site: Site, tools: Repository, home: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    evil = tmp_path / "evil"
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = evil / "hooks" / name
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >>{witness}\n")
        hook.chmod(0o755)
    for key, value in {
        "core.hooksPath": str(evil / "hooks"), "init.templateDir": str(evil), "core.autocrlf": "true",
        "filter.evil.smudge": f"echo smudge >>{witness}; cat", "core.fsmonitor": f"echo fsmonitor >>{witness}",
    }.items():  # fmt: skip
        git_config(home, key, value)
    (tools.work / ".gitattributes").write_text("* filter=evil\n")
    assert files(check_out(address(site), tools.push()))["velvet/run"] == "1\n"
    assert not witness.exists()


def git_config(home: Path, key: str, value: str) -> None:
    subprocess.run(["git", "config", "--file", str(home / ".gitconfig"), "--add", key, value], check=True)


def test_settings_of_another_repository_do_not_count(
    site: Site, tools: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_TRACE_CURL", str(tmp_path / "trace"))
    head = resolve_ref(address(site, "#main"))
    assert "Dockerfile" in files(check_out(address(site), head))
    assert not (tmp_path / "index").exists()
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "git://127.0.0.1/x.git", "ftp://127.0.0.1/x.git"])
def test_a_redirect_leads_nowhere_but_to_the_web(site: Site, target: str) -> None:
    site.answers["/git/tools.git/info/refs"] = ("302 Found", {"Location": f"{target}/info/refs"})
    message = failure(resolve_ref, address(site, "#main"))
    assert message.startswith(f"git cannot fetch {site.url}/git/tools.git: unable to access")
    assert "rotocol" in message or "scheme" in message


@pytest.mark.slow
def test_a_redirect_leads_from_https_to_https_only(
    site: Site, tools: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path / "ca")
    with remote_site(site.repositories, authority) as secure:
        there = GitAddress(f"https://127.0.0.1:{secure.port}/git/tools.git", "main")
        assert "certificate" in failure(resolve_ref, there)
        monkeypatch.setenv("GIT_SSL_CAINFO", str(authority.certificates))
        assert resolve_ref(there) == git(tools.work, "rev-parse", "HEAD")
        secure.answers["/git/tools.git/info/refs"] = (
            "302 Found", {"Location": f"{site.url}/git/tools.git/info/refs?service=git-upload-pack"}
        )  # fmt: skip
        assert 'rotocol "http" not' in failure(resolve_ref, there)
    assert not site.requests


def test_a_users_own_rewriting_does_not_lead_to_a_file(site: Site, tools: Repository, home: Path) -> None:
    git_config(home, f"url.file://{site.repositories}/.insteadOf", f"{site.url}/git/")
    assert "transport 'file' not allowed" in failure(resolve_ref, address(site, "#main"))


def test_nobody_is_asked_for_a_password(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho x\n")
    askpass.chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(askpass))
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    site.answers["/git/tools.git/info/refs"] = ("401 Unauthorized", {"WWW-Authenticate": 'Basic realm="x"'})
    url = f"{site.url}/git/tools.git"
    assert failure(resolve_ref, address(site, "#main")) == (
        f"{url} is not for everyone to read (could not read Username for '{site.url}': terminal prompts disabled). If "
        "it is private, set up git's credential helper; perhaps it does not exist."
    )
    assert not (tmp_path / "asked").exists()


def test_a_private_repository_takes_the_password_of_the_users_credential_helper(
    site: Site, tools: Repository, home: Path
) -> None:
    git_config(home, "credential.helper", f"!f() {{ echo username=anna; echo password={SECRET}; }}; f")
    site.answers["/git/private.git/info/refs"] = ("401 Unauthorized", {"WWW-Authenticate": 'Basic realm="x"'})
    message = failure(resolve_ref, address(site, "#main", name="private"))
    assert "Authentication failed" in message
    assert SECRET not in message
    assert any("HTTP_AUTHORIZATION" in headers for headers in site.headers)


def test_a_repository_that_is_not_there(site: Site) -> None:
    url = f"{site.url}/git/nowhere.git"
    for call in (lambda: resolve_ref(address(site, "#main", name="nowhere")),
                 lambda: check_out(address(site, name="nowhere"), "ab" * 20)):  # fmt: skip
        assert (
            failure(call) == f"there is no git repository {url} (repository '{url}/' not found). Mend the image list."
        )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_asked_again_another_time(site: Site, status: int) -> None:
    site.answers["/git/tools.git/info/refs"] = (f"{status} no", {})
    with pytest.raises(TemporaryError, match=rf"cannot be reached: .*error: {status}"):
        resolve_ref(address(site, "#main"))


def test_nobody_answers(site: Site) -> None:
    with pytest.raises(TemporaryError, match=r"http://127.0.0.1:1/x.git cannot be reached: .*[Cc]onnect"):
        resolve_ref(GitAddress("http://127.0.0.1:1/x.git", "main"))
    with pytest.raises(TemporaryError, match=r"https://nowhere.invalid/x.git cannot be reached: .*resolve host"):
        check_out(GitAddress("https://nowhere.invalid/x.git"), "ab" * 20)


@pytest.mark.slow
def test_a_server_that_takes_for_ever(site: Site, tools: Repository) -> None:
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        yield b"001e# service=git-upload-pack\n0000"
        while not stop.wait(0.05):
            yield b"0"

    allowed = allowance(5, lambda: resolve_ref(address(site, "#main")))
    site.bodies["/git/tools.git/info/refs"] = drip
    started = time.monotonic()
    url = f"{site.url}/git/tools.git"
    try:
        with pytest.raises(TemporaryError) as caught:
            resolve_ref(address(site, "#main"), seconds=0.7)
        while commands_with(url):
            # What was killed takes a moment to be gone.
            assert time.monotonic() - started < allowed, "git goes on"
    finally:
        stop.set()
    assert str(caught.value) == f"{url} did not answer git within 0.7 s."
    assert time.monotonic() - started < allowed


def test_a_server_that_has_names_without_end(site: Site, tools: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_command, "_MOST_BYTES", 1 << 20)
    names = b"".join(b"%040x\trefs/heads/%d/refs/heads/main\n" % (number, number) for number in range(30_000))
    # A server that is nothing but files.
    site.bodies["/git/tools.git/info/refs"] = lambda: [names]
    with pytest.raises(SkyportError, match="git printed more than 1,048,576 bytes"):
        resolve_ref(address(site, "#main"))
    # What was killed takes a moment to be gone.
    wait_until(lambda: not commands_with(site.url))


def commands_with(word: str) -> list[bytes]:
    """Return the command lines of the processes there are that have the word in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [command for command in found if word.encode() in command]


@pytest.mark.slow
def test_a_pack_that_is_cut_off_leaves_nothing(site: Site, tools: Repository) -> None:
    head = git(tools.work, "rev-parse", "HEAD")
    site.bodies["/git/tools.git/git-upload-pack"] = lambda: [b"000dpackfile\n", b"2004\x01PACK\x00\x00\x00\x02"]
    with pytest.raises((SkyportError, TemporaryError)):
        check_out(address(site), head)
    assert leftovers(address(site)) == []
    del site.bodies["/git/tools.git/git-upload-pack"]
    assert "Dockerfile" in files(check_out(address(site), head))


def test_without_the_git_command(monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert failure(resolve_ref, address(site, "#main")) == (
        "the git command cannot be run (No such file or directory), and the image list names a git repository. "
        "Install git."
    )


def test_what_a_server_says_does_not_reach_the_terminal_as_it_is(site: Site) -> None:
    line = b"ERR \x1b[31mevil\x1b[0m"
    site.bodies["/git/tools.git/info/refs"] = lambda: [
        b"001e# service=git-upload-pack\n0000",
        b"%04x" % (len(line) + 4) + line,
    ]
    with pytest.raises(SkyportError) as caught:
        resolve_ref(address(site, "#main"))
    assert "\x1b" not in str(caught.value)


@pytest.mark.slow
def test_a_tree_that_would_write_elsewhere(site: Site, tools: Repository, tmp_path: Path) -> None:
    """Trees with `..`, `.git` or two entries of one name, a link and a folder: git itself must refuse them."""
    blob = git(tools.work, "hash-object", "-w", "Dockerfile")
    link = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=tools.work, input=str(tmp_path / "target"), capture_output=True,
        text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (tmp_path / "target").mkdir()
    inner = raw_tree(tools.work, [("100644", "escaped", blob)])
    for entries in (
        [("40000", "..", inner)],
        [("100644", ".git", blob)],
        [("40000", ".GIT", inner), ("40000", ".git", inner)],
        [("100644", "a/../../b", blob)],
    ):
        commit = evil_commit(tools, entries)
        assert failure(check_out, address(site), commit).startswith(
            f"commit {commit} of {site.url}/git/tools.git cannot be"
        )
    link_and_folder = evil_commit(tools, [("120000", "a", link), ("40000", "a", inner)])
    with contextlib.suppress(SkyportError):
        check_out(address(site), link_and_folder)
    assert list((tmp_path / "target").iterdir()) == []
    assert not [path for path in tmp_path.rglob("escaped") if "tree" not in path.parts]


def evil_commit(tools: Repository, entries: list[tuple[str, str, str]]) -> str:
    commit = git(tools.work, "commit-tree", "-m", "evil", raw_tree(tools.work, entries))
    git(tools.work, "push", "--quiet", "--force", str(tools.bare), f"{commit}:refs/heads/evil")
    return commit


def raw_tree(folder: Path, entries: list[tuple[str, str, str]]) -> str:
    content = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(digest) for mode, name, digest in entries)
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], cwd=folder, input=content,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


def test_a_proxy_of_the_user_counts(site: Site, tools: Repository, home: Path) -> None:
    git_config(home, "http.proxy", "http://127.0.0.1:1")
    with pytest.raises(TemporaryError):
        ask_server(address(site).repository, ["ls-remote", address(site).repository], seconds=10)
