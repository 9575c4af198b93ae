"""The folder for copies is nobody else's to read, whatever folder the user gives for it."""

import stat

import pytest

from skyport_wf.cache import cache_folder


@pytest.mark.parametrize("kind", ["registry", "git"])
def test_a_folder_that_others_may_look_into_shows_them_nothing(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o755)
    assert cache_folder(kind, "copies").is_dir()
    assert stat.S_IMODE((tmp_path / "cache" / kind).stat().st_mode) == 0o700


def test_what_an_older_version_left_open_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path))
    (tmp_path / "registry/copies").mkdir(parents=True)
    (tmp_path / "registry").chmod(0o755)
    cache_folder("registry", "copies")
    assert stat.S_IMODE((tmp_path / "registry").stat().st_mode) == 0o700
