"""Uploads of an earlier run that are taken up: only one's own, and only while they are nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.errors import SkyportError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.progress import UNSEEN
from skyport_wf.publication.attributes import UPLOAD_TYPE, describe_upload
from skyport_wf.publication.connection import Shock
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.transfer.earlier import find_uploads, take_up
from skyport_wf.transfer.parts_upload import PartsUpload
from skyport_wf.transfer.unfinished import ProgressFile
from tests.support.sample_records import NAME, build_record, saved_archive


def leave(shock: ShockClient) -> Node:
    return shock.create(lambda: [b"x"], file_name="x", attributes=describe_upload(build_record()), expiration="1H")


def test_an_upload_gets_time(opened: Shock, shock: ShockClient) -> None:
    node = leave(shock)
    assert [found.id for found in find_uploads(opened, build_record())] == [node.id]
    assert take_up(opened, node)
    now = shock.find(node.id)
    assert now
    assert now.expiration > node.expiration


@pytest.mark.parametrize("change", ["registered", "deleted", "kept"])
def test_what_has_become_something_else_stays_as_it_is(opened: Shock, shock: ShockClient, change: str) -> None:
    """Its own publisher was not dead, but slow."""
    node = leave(shock)
    (found,) = find_uploads(opened, build_record())
    if change == "registered":
        shock.replace_attributes(node.id, {"type": "dockerimage", "name": NAME})
    if change == "deleted":
        shock.delete(node.id)
    else:
        shock.keep(node.id)
    before = shock.find(node.id)
    assert not take_up(opened, found)
    after = shock.find(node.id)
    assert (after and after.expires) == (before and before.expires)


def test_registered_in_the_very_moment_it_stays(
    opened: Shock, shock: ShockClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = leave(shock)
    expire = shock.expire

    def late(node_id: str, expiration: str) -> Node:
        shock.replace_attributes(node_id, {"type": "dockerimage", "name": NAME})
        shock.keep(node_id)
        return expire(node_id, expiration)

    monkeypatch.setattr(shock, "expire", late)
    assert not take_up(opened, node)
    now = shock.find(node.id)
    assert now
    assert not now.expires


def test_of_another_image_none_is_found(opened: Shock, shock: ShockClient) -> None:
    leave(shock)
    shock.create_empty(attributes={"type": UPLOAD_TYPE, "name": NAME, "source_digest": ["x"]}, expiration="1H")
    assert len(find_uploads(opened, build_record())) == 1


@pytest.mark.parametrize("is_ours_alone", [True, False])
def test_an_upload_in_parts_that_others_may_write_to_is_not_gone_on_with_though_it_is_remembered(
    opened: Shock, shock: ShockClient, tmp_path: Path, is_ours_alone: bool
) -> None:
    def read(*_: int) -> Iterator[bytes]:
        raise SkyportError("interrupted")

    def begin() -> PartsUpload:
        build = build_record(shock=ShockSettings(parts_above=0))
        return PartsUpload(opened, build, read, saved_archive().digests, progress_file=ProgressFile(tmp_path / "p"))

    with pytest.raises(SkyportError, match="interrupted"):
        begin().finish(None, UNSEEN)
    (node,) = find_uploads(opened, build_record())
    if not is_ours_alone:
        shock._ask("PUT", f"/node/{node.id}/acl/public_write")
    found = begin().find_unfinished()
    assert (found and found.id) == (node.id if is_ours_alone else None)
