import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.records import files as records_files
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.files import check_receipt_files, read_record, update_lock, write_lock, write_record
from skyport_wf.records.receipt import LockFile, Receipt
from skyport_wf.records.records import BuildRecord
from tests.support.commands import CHECKOUT
from tests.support.sample_records import build_record, receipt
from tests.support.timing import PATIENCE

LARGE = build_record(description="x" * 200_000)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_record_is_read_back(tmp_path):
    write_record(tmp_path / "build.json", build_record())
    assert read_record(tmp_path / "build.json", BuildRecord) == build_record()


def test_folders_are_made(tmp_path):
    write_record(tmp_path / "a/b/c/build.json", build_record())
    assert names_in(tmp_path / "a/b/c") == ["build.json"]


def test_an_older_record_is_replaced_and_nothing_stays_beside_it(tmp_path):
    write_record(tmp_path / "build.json", LARGE)
    write_record(tmp_path / "build.json", build_record())
    assert (tmp_path / "build.json").read_bytes() == encode_json(build_record())
    assert names_in(tmp_path) == ["build.json"]


def test_a_record_can_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        write_record(tmp_path / "build.json", build_record())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "build.json").stat().st_mode) == 0o640
    assert os.umask(before) == before


def test_the_same_record_again_leaves_the_file_but_makes_it_new(tmp_path):
    # A workflow engine has to see that the step ran, and a committed lock file that nothing changed.
    path = tmp_path / "build.json"
    write_record(path, build_record())
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    write_record(path, build_record())
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1_000_000_000


def test_a_link_is_replaced_not_what_it_points_to(tmp_path):
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / "build.json").symlink_to("elsewhere")
    write_record(tmp_path / "build.json", build_record())
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert read_record(tmp_path / "build.json", BuildRecord) == build_record()


@pytest.mark.parametrize("there", [True, False])
def test_a_lock_file_that_is_a_link_stays_one(tmp_path, there):
    """Several projects may share one; the link may have come before it."""
    shared = tmp_path / "shared/images.lock.json"
    if there:
        update_lock(shared, [receipt(name="lab/a:1")])
    link = tmp_path / "images.lock.json"
    link.symlink_to("shared/images.lock.json")
    check_receipt_files([], link, ["lab/b:1"])
    update_lock(link, [receipt(name="lab/b:1")])
    assert list(read_record(shared, LockFile).images) == (["lab/a:1"] if there else []) + ["lab/b:1"]
    assert write_lock(link, [receipt(name="lab/c:1")], keep=["lab/b:1"]) == read_record(shared, LockFile)
    assert list(read_record(shared, LockFile).images) == ["lab/b:1", "lab/c:1"]
    assert link.is_symlink()
    assert names_in(tmp_path / "shared") == ["images.lock.json"]
    write_record(tmp_path / "receipt.json", receipt())
    link.unlink()
    link.symlink_to("receipt.json")
    with pytest.raises(UsageError, match=r"receipt\.json would be written twice"):
        check_receipt_files([tmp_path / "receipt.json"], link, [])
    for write in (update_lock, write_lock):
        with pytest.raises(SkyportError, match=r"receipt\.json is"):
            write(link, [receipt()])
    assert read_record(tmp_path / "receipt.json", Receipt) == receipt()


def test_links_in_a_circle_and_pipes_are_no_lock_files(tmp_path):
    link = tmp_path / "images.lock.json"
    link.symlink_to(link)
    write_lock(link, [receipt()])
    assert not link.is_symlink()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with open(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:  # noqa: PTH123 - of a descriptor
        written = write_lock(tmp_path / "link", [receipt()])
        assert reader.read() == encode_json(written)


@pytest.mark.parametrize(
    "content", [b"images:\n- name: a/b:1\n", b'{"record": "skyport-wf lock 1", "images": {}}', b"x"]
)
def test_a_file_that_is_no_record_of_this_kind_stays(tmp_path, content):
    path = tmp_path / "images.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        write_record(path, build_record())
    assert str(caught.value) == (
        f"{path} is there, and is no `skyport-wf build` record: it stays as it is. Name another file, or remove it."
    )
    assert path.read_bytes() == content


def test_an_empty_file_and_a_record_of_an_earlier_version_are_replaced(tmp_path):
    for content in (b"", b"\n", b'{"record": "skyport-wf build 1"}'):
        (tmp_path / "build.json").write_bytes(content)
        write_record(tmp_path / "build.json", build_record())
        assert read_record(tmp_path / "build.json", BuildRecord) == build_record()


@pytest.mark.slow
def test_many_that_add_to_one_lock_file_lose_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from skyport_wf.records.files import update_lock\n"
        "from tests.support.sample_records import receipt\n"
        "for n in range(20): update_lock(Path(sys.argv[1]), [receipt(name=f'lab/{sys.argv[2]}:{n}')])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "images.lock.json")]
    writers = [subprocess.Popen([*command, name], cwd=CHECKOUT) for name in "abcd"]
    assert [writer.wait(timeout=PATIENCE) for writer in writers] == [0] * 4
    lock = read_record(tmp_path / "images.lock.json", LockFile)
    assert sorted(lock.images) == sorted(f"lab/{name}:{n}" for name in "abcd" for n in range(20))
    assert names_in(tmp_path) == ["images.lock.json"]


def test_whoever_writes_a_lock_file_anew_waits_for_those_who_add_to_it(tmp_path):
    """What they have read before, they would write again, and his entries would be gone."""
    lock = tmp_path / "images.lock.json"
    adding, done = threading.Event(), threading.Event()

    def add() -> None:
        with records_files._turn_in(tmp_path):
            adding.set()
            done.wait(PATIENCE)
            write_record(lock, LockFile({}))

    adder = threading.Thread(target=add)
    writer = threading.Thread(target=write_lock, args=(lock, [receipt()]))
    adder.start()
    adding.wait(PATIENCE)
    writer.start()
    writer.join(0.1)
    assert not lock.exists()
    done.set()
    writer.join()
    adder.join()
    assert list(read_record(lock, LockFile).images) == [receipt().name]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_record(tmp_path / "build.json", BuildRecord)
    assert str(caught.value) == f"there is no {tmp_path}/build.json. Run the step that writes it first."
    with pytest.raises(UsageError) as caught:
        read_record(tmp_path / "images.lock.json", LockFile)
    assert str(caught.value) == f"there is no {tmp_path}/images.lock.json. Publishing images writes one."


def test_a_folder_instead_of_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as caught:
        read_record(tmp_path / "folder", BuildRecord)
    assert str(caught.value) == f"cannot read {tmp_path}/folder: Is a directory"
    with pytest.raises(SkyportError, match=f"^cannot write {tmp_path}/folder: Is a directory$"):
        write_record(tmp_path / "folder", build_record())
    assert names_in(tmp_path) == ["folder"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(SkyportError, match=f"^cannot write {tmp_path}/results/build.json: "):
        write_record(tmp_path / "results/build.json", build_record())


def test_the_wrong_record_is_called_by_its_path(tmp_path):
    write_record(tmp_path / "build.json", build_record())
    with pytest.raises(SkyportError, match=f"^{tmp_path}/build.json is not a `skyport-wf receipt 2` record: "):
        read_record(tmp_path / "build.json", Receipt)


def test_an_unwritable_folder_leaves_the_old_record(folder_of_nobody):
    path = folder_of_nobody / "build.json"
    write_record(path, build_record())
    folder_of_nobody.chmod(0o555)
    try:
        with pytest.raises(SkyportError) as caught:
            write_record(path, build_record(description="another"))
        assert str(caught.value) == f"cannot write {path}: Permission denied"
        assert read_record(path, BuildRecord) == build_record()
        assert names_in(folder_of_nobody) == ["build.json"]
    finally:
        folder_of_nobody.chmod(0o755)


def test_a_record_that_may_not_be_read(folder_of_nobody):
    path = folder_of_nobody / "build.json"
    write_record(path, build_record())
    path.chmod(0)
    with pytest.raises(UsageError, match=f"^cannot read {path}: Permission denied$"):
        read_record(path, BuildRecord)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`: what is written then fails as on a full disk, whoever runs the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_in_the_middle_leaves_the_old_record(tmp_path):
    path = tmp_path / "build.json"
    write_record(path, build_record())
    with largest_file(50_000), pytest.raises(SkyportError, match=f"^cannot write {path}: File too large. Make room"):
        write_record(path, LARGE)
    assert read_record(path, BuildRecord) == build_record()
    assert names_in(tmp_path) == ["build.json"]


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "skyport-wf-test", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


# Others have the test above: only root can make a disk.
if os.geteuid() == 0:

    def test_a_full_disk_leaves_the_old_record(tmp_path):
        with tiny_disk(tmp_path) as disk:
            path = disk / "build.json"
            write_record(path, build_record())
            with pytest.raises(SkyportError, match=f"^cannot write {path}: No space left on device. Make room"):
                write_record(path, LARGE)
            assert read_record(path, BuildRecord) == build_record()
            assert names_in(disk) == ["build.json"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Somebody has to read already: a command does not wait for that.
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:  # noqa: PTH123 - of a descriptor
        write_record(pipe, build_record())
        assert reader.read() == encode_json(build_record())
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names_in(tmp_path) == ["pipe"]
