"""Beyond what was recorded of AWE, which is in test_awe_recorded.py."""

import pytest

from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.publication.resolve import resolve


def publish(shock, tag, **changes):
    attributes = {"type": "dockerimage", "name": f"a/b:{tag}", "repository": "a/b", "tag": tag, "id": "sha256:1"}
    return shock.create(lambda: [b"x"], file_name="x", attributes=attributes | changes, expiration="2D").id


def test_a_name(shock):
    node = publish(shock, "1")
    publish(shock, "2")
    assert resolve(shock, "a/b:1").id == node


def test_latest_looks_only_at_the_first_page_of_25_nodes(shock):
    highest = publish(shock, "9")
    nodes = {n: publish(shock, f"1.{n}") for n in range(24)}
    assert resolve(shock, "a/b").id == highest
    nodes[24] = publish(shock, "1.24")
    assert resolve(shock, "a/b").id == nodes[24]


def test_an_upload_and_a_retired_image_are_not_found(shock):
    publish(shock, "1", type="dockerimage-upload")
    publish(shock, "1", type="dockerimage-retired")
    with pytest.raises(AweLookupError, match=r"^an AWE worker finds no image a/b:1\. Is it published, and public\?$"):
        resolve(shock, "a/b:1")


def test_a_node_without_attributes_is_no_image(shock):
    shock.create(lambda: [b"x"], file_name="x", attributes={}, expiration="2D")
    with pytest.raises(AweLookupError, match="finds no image of the repository a/b"):
        resolve(shock, "a/b")
