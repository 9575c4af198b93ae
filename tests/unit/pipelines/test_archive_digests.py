"""What of an archive counts in a workflow."""

import hashlib
import os
from types import SimpleNamespace

import pytest

from skyport_wf.pipelines.archives import SourceArchives, digest_archive


@pytest.mark.parametrize("is_layout", [False, True])
def test_the_content_of_a_file_and_the_index_of_a_layout(tmp_path, is_layout):
    archive = tmp_path / "x"
    if is_layout:
        (archive / "blobs/sha256").mkdir(parents=True)
    for content in (b"one", b"two"):
        (archive / "index.json" if is_layout else archive).write_bytes(content)
        assert digest_archive(archive, tmp_path / "images.yaml", tmp_path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a pipe", "a long name"])
def test_what_is_no_archive_is_left_to_the_steps(tmp_path, what):
    archive = tmp_path / ("x" * 300 if what == "a long name" else "x")
    if what == "an empty folder":
        archive.mkdir()
    if what == "a pipe":
        os.mkfifo(archive)
    assert digest_archive(archive, tmp_path / "images.yaml", tmp_path) == ""


def test_without_a_folder_for_copies_it_is_read_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("SKYPORT_CACHE", "relative")
    (tmp_path / "x").write_bytes(b"one")
    archives = SourceArchives(SimpleNamespace(rules=[]), str(tmp_path / "images.yaml"), in_job=False)
    assert archives.digest(str(tmp_path / "x")) == hashlib.sha256(b"one").hexdigest()
