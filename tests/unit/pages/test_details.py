"""The page of an image, from what its node tells: also one that another tool made, or that lies."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from skyport_wf.image.contents import Layer
from skyport_wf.pages.comparison import compare
from skyport_wf.pages.details import Fact, Place, describe_details
from skyport_wf.pages.entries import by_repository, make_entry
from skyport_wf.pages.links import ServedLinks
from skyport_wf.pages.rendering import render, render_list_script
from skyport_wf.publication.attributes import describe_image, to_json_values
from skyport_wf.publication.inventory import StoredImage
from skyport_wf.records.source import ContainerOrigin, GitOrigin, RegistryOrigin, Source
from skyport_wf.shock.node import AccessControl, FileChecksum, Node, NodeFile, PublicAccess
from tests.support.sample_records import SOURCE_DIGEST, build_record, saved_archive

PLACE = Place("embedded", "http://127.0.0.1:7445", "127.0.0.1:7445")


def attributes(*layers: Layer, **build: Any) -> dict[str, Any]:
    saved = saved_archive()
    if layers:
        saved = msgspec.structs.replace(saved, contents=msgspec.structs.replace(saved.contents, layers=layers))
    return to_json_values(describe_image(build_record(**build), saved, registered="2026-01-02T03:04:05Z"))


def details(found: dict[str, Any], *, state: Any = "published", access: AccessControl | None = None):
    node = Node("n1", found, NodeFile("a.tar.gz", 1000, FileChecksum("d" * 32)), "2026-01-02T03:04:00.1Z")
    image = StoredImage(node, node.text("name"), state)
    return describe_details(image, make_entry(image, is_private=False), access, None, PLACE, node_of=lambda name: "")


def test_lower_layers_without_a_history_are_the_base():
    found = details(attributes(Layer("sha256:a", 3000, ""), Layer("sha256:b", 1000, "RUN true")))
    assert [(layer.command, layer.share, layer.length) for layer in found.layers] == [
        ("FROM debian:bookworm", 0.75, 1.0),
        ("RUN true", 0.25, 1 / 3),
    ]


def test_a_layer_that_another_one_hides_is_shown_longer_too():
    found = details(attributes(Layer("sha256:a", 1_000_000, "ADD"), Layer("sha256:b", 1000, "RUN true")))
    assert [layer.zoom for layer in found.layers] == [1, 1000]
    near = details(attributes(Layer("sha256:a", 3000, "ADD"), Layer("sha256:b", 1000, "RUN true")))
    assert [layer.zoom for layer in near.layers] == [1, 1]


def test_a_commit_says_where_it_came_from():
    git = GitOrigin("https://git.example.org/lab/tools", "main", "c" * 40, "velvet")
    found = details(attributes(source=Source("dockerfile", SOURCE_DIGEST, git=git)))
    repository, commit, folder = (
        next(fact for fact in found.origin if fact.name == name) for name in ("Repository", "Commit", "Folder")
    )
    assert repository.url == git.repository
    assert (commit.value, folder.value) == (git.commit, "velvet")


def test_an_image_of_another_registry_is_told_with_its_digest() -> None:
    origin = RegistryOrigin("quay.io/lab/tool:1", "sha256:" + "d" * 64, "linux/amd64")
    found = details(attributes(source=Source("registry", SOURCE_DIGEST, registry=origin)))
    told = {fact.name: fact.value for fact in found.origin}
    assert (told["Registry"], told["Manifest there"]) == (origin.name, origin.manifest_digest)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", " https://x", "https://x y", "https://x\u202e", "ftp://x"]
)
def test_only_addresses_of_the_web_become_links(address):
    git = GitOrigin(address, None, "c" * 40, "")
    found = details(attributes(source=Source("dockerfile", SOURCE_DIGEST, git=git)))
    assert next(fact for fact in found.origin if fact.name == "Repository").url == ""


def test_an_image_of_another_tool_has_a_page():
    found = details({"type": "dockerimage", "name": "lab/old:1", "id": "f" * 64, "dockerfile": "no base64!"})
    assert found.origin == (Fact("Source", "unknown: another tool published it"),)
    assert (found.layers, found.dockerfile, found.wasted) == ((), "", None)
    assert found.entry.published == "2026-01-02T03:04:00.1Z"


@pytest.mark.parametrize("broken", [{"skyport_wf": 5}, {"skyport_wf": {"description": 7}}, {"name": None}, {"id": []}])
def test_attributes_that_are_damaged_do_not_break_it(broken):
    assert details({**attributes(), **broken}).entry.node == "n1"


def test_nobody_is_told_how_to_use_what_cannot_be_used():
    assert details(attributes(), state="broken").usage == ()


def test_who_and_when():
    access = AccessControl("4371452c-0000-4000-8000-000000000000", PublicAccess(read=True))
    facts = {fact.name: fact.value for fact in details(attributes(), access=access).facts}
    assert facts["Owner"] == access.owner
    assert facts["Published"] == "2026-01-02 03:04:05 UTC"
    nobodys = details(attributes(), access=AccessControl("public", PublicAccess(read=True)))
    assert Fact("Owner", "nobody") in nobodys.facts


def test_signs_that_reorder_text_are_visible_or_gone():
    found = details(attributes(dockerfile="RlJPTSDigK4="))
    assert found.dockerfile == "FROM \\u202e"


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of everything in a JSON value but itself."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, key)
        yield from places(inner, (*at, key))


@pytest.mark.parametrize(
    "bad",
    [None, -1, 10**400, float("nan"), "\ud800", "\x1b[31m\u202e", "<b>", "9" * 9999, [None], {"a": 1}],
    ids=lambda bad: ascii(bad)[:12],
)
def test_nothing_that_a_node_says_breaks_its_page(bad):
    git = GitOrigin("https://git.example.org/lab/tools", "main", "c" * 40, "velvet")
    container = ContainerOrigin("lab/base:1", ("sh",), ("added /x",))
    source = Source("dockerfile", SOURCE_DIGEST, git=git, container=container, script="true")
    whole = json.loads(msgspec.json.encode(attributes(Layer("sha256:a", 5, "RUN x"), source=source)))
    site = {"title": "Images", "is_logged_in": False, "footer": ""}
    for *way, last in places(whole):
        damaged = copy.deepcopy(whole)
        place = damaged
        for key in way:
            place = place[key]
        place[last] = bad
        found = details(damaged)
        page = render(
            "image.html", ServedLinks(2), site=site, image=found, siblings=(found.entry,), compared={}
        ).decode()
        assert not {"\x1b", "\u202e", "<b>"} & set(re.findall("\x1b|\u202e|<b>", page)), (way, last)
        assert 'width="-' not in page, (way, last)
        render("compare.html", ServedLinks(3), site=site, found=compare(found, found, (None, None)))
        render_list_script(by_repository([found.entry]))


def test_of_a_name_of_any_length_the_list_has_the_beginning():
    node = Node("n1", {"name": f"lab/{'x' * 300_000}:1"}, NodeFile("", 0, FileChecksum("")), "2026-01-02T03:04:00.1Z")
    entry = make_entry(StoredImage(node, node.text("name"), "published"), is_private=False)
    assert entry.name == f"lab/{'x' * 993}..."
