"""Files that belong together: whole, kept as they are, and removed only if they are ours."""

import os

import pytest

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.pages.folder import write_folder
from tests.support.small_disk import fill, small_disk

PAGES = [("image/a.html", b"a"), ("compare/a/b.html", b"ab"), ("index.html", b"list")]


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


def test_files_are_written_kept_and_removed(tmp_path):
    folder = tmp_path / "new" / "site"
    done = write_folder(folder, PAGES)
    assert (done.written, done.unchanged, done.removed) == (3, 0, 0)
    assert names(folder) == {name for name, _ in PAGES}
    before = (folder / "image/a.html").stat()
    done = write_folder(folder, [("image/a.html", b"a"), ("index.html", b"another list")])
    assert (done.written, done.unchanged, done.removed) == (1, 1, 1)
    assert (folder / "image/a.html").stat().st_ino == before.st_ino, "not written again"
    assert names(folder) == {"image/a.html", "index.html"}
    assert not (folder / "compare").exists(), "an empty folder goes with its last file"


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UsageError, match="has files, and none that this command wrote"):
        write_folder(tmp_path, PAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["file", "link", "link to a file", "pipe"])
def test_what_is_no_folder_is_left_alone(tmp_path, name):
    (tmp_path / "file").write_text("all of it")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link to a file").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=f"/{name} is there, and is no folder. Name a new or an empty folder."):
        write_folder(tmp_path / name, PAGES)
    assert (tmp_path / "file").read_text() == "all of it"
    assert not (tmp_path / "nowhere").exists()


def test_files_of_others_among_ours_stay(tmp_path, caplog):
    write_folder(tmp_path, PAGES)
    (tmp_path / "robots.txt").write_text("Disallow: /")
    (tmp_path / "compare/a/notes.txt").write_text("mine")
    (tmp_path / "image/a.html").write_text("edited by hand")
    done = write_folder(tmp_path, [("index.html", b"list")])
    assert done.removed == 1
    assert names(tmp_path) == {"robots.txt", "compare/a/notes.txt", "image/a.html", "index.html"}
    assert "somebody has changed it" in caplog.text
    # It is somebody else's from now on.
    with pytest.raises(UsageError, match=r"a\.html was written or changed by somebody else"):
        write_folder(tmp_path, PAGES)
    assert (tmp_path / "image/a.html").read_text() == "edited by hand"


def test_after_a_run_that_was_killed_the_next_one_knows_what_is_ours(tmp_path):
    write_folder(tmp_path, PAGES)

    def interrupted():
        yield "image/new.html", b"new"
        yield "index.html", b"the list with it"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path, interrupted())
    assert names(tmp_path) == {name for name, _ in PAGES} | {"image/new.html"}
    done = write_folder(tmp_path, PAGES)
    assert (done.written, done.removed) == (1, 1)
    assert (tmp_path / "index.html").read_bytes() == b"list"
    assert names(tmp_path) == {name for name, _ in PAGES}


def test_a_folder_that_was_begun_on_a_full_disk_is_ours_when_there_is_room(tmp_path):
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", size=1 << 20) as disk:
        filler = fill(disk)
        with pytest.raises(SkyportError, match="No space left on device"):
            write_folder(disk / "site", PAGES)
        filler.unlink()
        assert write_folder(disk / "site", PAGES).written == 3


def test_a_list_that_others_wrote_into_leads_nowhere_else(tmp_path):
    folder = tmp_path / "site"
    write_folder(folder, PAGES)
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"a")
    digest = (folder / ".skyport-catalogue").read_text().partition("  image/a.html")[0][-64:]
    with (folder / ".skyport-catalogue").open("a") as listed:
        listed.write(f"{digest}  ../outside.txt\n{digest}  image/../../outside.txt\n{digest}  {outside}\nnonsense\n")
    write_folder(folder, PAGES)
    assert outside.read_bytes() == b"a"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="cannot write") as raised:
        write_folder(tmp_path / "file" / "site", PAGES)
    assert type(raised.value).__name__ == "SkyportError"
