"""The rules of AWE's worker; what its own code chose was recorded, see test_awe_recorded.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.publication.awe_lookup import AweLookupError, Lookup, choose, harm_of_tag, plan_lookup


def node(tag: object, **changes: object) -> dict[str, object]:
    attributes = {"name": f"a/b:{tag}", "repository": "a/b", "tag": tag, "id": "sha256:1"}
    return attributes | changes


def latest(*tags_newest_first: str) -> str:
    found = [node(tag) for tag in tags_newest_first]
    return tags_newest_first[choose(plan_lookup("a/b"), found)]


@pytest.mark.parametrize("asked", ["a/b", "a/b:latest", "a/b:"])
def test_without_a_tag_the_repository_is_asked_for(asked):
    assert plan_lookup(asked) == Lookup(asked, {"type": "dockerimage", "repository": "a/b"}, latest=True)


def test_with_a_tag_the_name_is_asked_for():
    assert plan_lookup("a/b:1") == Lookup("a/b:1", {"type": "dockerimage", "name": "a/b:1"}, latest=False)


@pytest.mark.parametrize(
    ("tag", "hurts"),
    [
        ("20240101123456789012", True),
        ("1.9223372036854775808-a", True),
        ("9223372036854775807", False),
        ("v99999999999999999999", False),
        ("1a2b99999999999999999999", False),
    ],
)
def test_a_tag_that_stops_latest_is_told_before(tag, hurts):
    assert bool(harm_of_tag(f"a/b:{tag}")) == hurts
    found = [node("1"), node(tag)]
    if hurts:
        with pytest.raises(AweLookupError, match="stops `latest`"):
            choose(plan_lookup("a/b"), found)
    else:
        choose(plan_lookup("a/b"), found)


def test_two_colons_fail():
    with pytest.raises(AweLookupError) as caught:
        plan_lookup("localhost:5000/a:1")
    assert str(caught.value) == "an AWE worker cannot use 'localhost:5000/a:1': the name has more than one colon"


@pytest.mark.parametrize(
    ("asked", "found", "message"),
    [
        ("a/b:1", [], "an AWE worker finds no image a/b:1. Is it published, and public?"),
        ("a/b", [], "an AWE worker finds no image of the repository a/b. Is one published?"),
        (
            "a/b:1",
            [node("1"), node("1")],
            "an AWE worker fails on a/b:1: 2 nodes have this name, and it takes exactly one. "
            "`skyport-wf ls` shows them; retire all but one.",
        ),
        ("a/b:1", [node("1", id="")], "an AWE worker fails on a/b:1: the node's attribute `id` is missing"),
        ("a/b:1", [node("1", id=7)], "an AWE worker fails on a/b:1: the node's attribute `id` is missing"),
        ("a/b", [node("1", id=None)], "an AWE worker fails on a/b: the node's attribute `id` is missing"),
        (
            "a/b",
            [node("2"), node("1", name="")],
            "an AWE worker fails on a/b: of a node without a name the attribute `name` is missing, empty or not text, "
            "and that stops `latest` for the whole repository",
        ),
        (
            "a/b",
            [node("2"), node(1)],
            "an AWE worker fails on a/b: of a/b:1 the attribute `tag` is missing, empty or not text, "
            "and that stops `latest` for the whole repository",
        ),
        (
            "a/b",
            [node("2"), node("1", repository=None)],
            "an AWE worker fails on a/b: of a/b:1 the attribute `repository` is missing, empty or not text, "
            "and that stops `latest` for the whole repository",
        ),
        (
            "a/b",
            [node("1"), node("1.9223372036854775808")],
            "an AWE worker fails on a/b: the number in the tag '1.9223372036854775808' has more than 64 bits, "
            "and that stops `latest` for the whole repository",
        ),
        (
            "a/b",
            [node("1"), node("9" * 100_000)],
            f"an AWE worker fails on a/b: the number in the tag '{'9' * 997}...' has more than 64 bits, "
            "and that stops `latest` for the whole repository",
        ),
    ],
)
def test_where_a_worker_would_fail(asked, found, message):
    with pytest.raises(AweLookupError) as caught:
        choose(plan_lookup(asked), found)
    assert str(caught.value) == message


def test_an_image_asked_for_by_name_needs_only_an_id():
    assert choose(plan_lookup("a/b:1"), [{"id": "sha256:1"}]) == 0


def test_the_largest_number_of_64_bits():
    assert latest("1", "9223372036854775807") == "9223372036854775807"


def test_of_equal_tags_the_newer_node():
    assert choose(plan_lookup("a/b"), [node("1.0"), node("1"), node("1.0.0")]) == 0


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        ("1.2.10", "1.2.9"),
        ("1.0b", "1.0"),
        ("1.0-beta", "1.0-alpha"),
        ("1", "v2"),
        ("1.0.0.1", "1"),
        ("0.0e", "0.0d"),
        ("2b.1", "2a.9"),
    ],
)
def test_the_higher_tag_whichever_is_newer(higher, lower):
    assert latest(higher, lower) == latest(lower, higher) == higher


TAGS = st.lists(
    st.from_regex(r"[0-9]{1,3}-?(unknown|dev|develop|alpha|a|beta|b|c|d|e|rc|A)?", fullmatch=True)
    | st.sampled_from(["v2", "x", "1-2", "1_2", "0"]),
    min_size=1,
    max_size=4,
).map(".".join)


def is_above(one: str, other: str) -> bool:
    """Whether `one` wins although the other node is newer."""
    return choose(plan_lookup("a/b"), [node(other), node(one)]) == 1


@pytest.mark.slow
@given(TAGS, TAGS, TAGS)
def test_the_order_of_tags_is_transitive(a, b, c):
    if is_above(a, b) and is_above(b, c):
        assert is_above(a, c)


@pytest.mark.slow
@given(TAGS, TAGS)
def test_no_tag_is_above_one_that_is_above_it(a, b):
    assert not (is_above(a, b) and is_above(b, a))
    assert not is_above(a, a)


@pytest.mark.slow
@given(TAGS, TAGS, st.integers(min_value=1, max_value=3))
def test_zeros_at_the_end_change_nothing(a, b, zeros):
    longer = a + ".0" * zeros
    assert not is_above(a, longer)
    assert not is_above(longer, a)
    assert is_above(longer, b) == is_above(a, b)


@pytest.mark.slow
@given(st.lists(TAGS, min_size=1, max_size=6))
def test_no_tag_is_above_the_chosen_one(tags):
    chosen = latest(*tags)
    assert not any(is_above(tag, chosen) for tag in tags)


@pytest.mark.slow
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["name", "tag", "repository", "id"]), st.text(max_size=5) | st.integers() | st.none()
        ),
        max_size=4,
    )
)
def test_whatever_a_server_answers_is_a_choice_or_a_lookup_error(found):
    for asked in ("a/b", "a/b:1"):
        try:
            assert 0 <= choose(plan_lookup(asked), found) < len(found)
        except AweLookupError as error:
            assert "AWE worker" in str(error)
