import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import UsageError
from skyport_wf.image_list.reference import ImageReference, is_docker_name, parse_reference, short_docker_name
from skyport_wf.publication.awe_lookup import plan_lookup

PART = st.from_regex(r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
REPOSITORY = st.lists(PART, min_size=1, max_size=3).map("/".join).filter(lambda text: len(text) <= 255)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True).filter(lambda tag: tag != "latest")


@pytest.mark.parametrize(
    ("text", "repository", "tag", "key"),
    [
        ("skyport/velvet:1.2.10", "skyport/velvet", "1.2.10", "skyport_velvet_1.2.10"),
        ("velvet:v1", "velvet", "v1", "velvet_v1"),
        ("a/b/c/d:1", "a/b/c/d", "1", "a_b_c_d_1"),
        ("a.b/c-d/e__f:1", "a.b/c-d/e__f", "1", "a.b_c-d_e__f_1"),
        ("0/9:_", "0/9", "_", "0_9__"),
        ("a/b:Latest", "a/b", "Latest", "a_b_Latest"),
        ("a/b:1.0-RC_2", "a/b", "1.0-RC_2", "a_b_1.0-RC_2"),
        (f"{'a' * 255}:{'1' * 128}", "a" * 255, "1" * 128, f"{'a' * 255}_{'1' * 128}"),
    ],
)
def test_usable_names(text, repository, tag, key):
    reference = parse_reference(text)
    assert (reference.repository, reference.tag, reference.key, str(reference)) == (repository, tag, key, text)


DIGEST = "a digest cannot be used, AWE looks images up by REPO:TAG"
NO_TAG = "the tag is missing"
COLONS = "it has more than one colon, and AWE splits the name at its only one (so no registry port)"
LATEST = "the tag `latest` cannot be published, AWE takes it for the highest tag there is"
UPPER_CASE = "the repository has upper case letters, which Docker does not allow"


def not_a_repository(text: str) -> str:
    return f"{text!r} is not a repository name (lower case letters, digits, and . _ - / between them)"


def not_a_tag(text: str) -> str:
    return f"{text!r} is not a tag (letters, digits, and . _ - after the first character, 128 at most)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_TAG),
        ("skyport/velvet", NO_TAG),
        ("a/b@sha256:" + "0" * 64, DIGEST),
        ("a/b:1@sha256:" + "0" * 64, DIGEST),
        ("a/b:1@x", DIGEST),
        ("localhost:5000/a:1", COLONS),
        ("a:b:c:d", COLONS),
        ("a/b::", COLONS),
        ("a/b:latest", LATEST),
        ("Skyport/velvet:1", UPPER_CASE),
        ("skyport/É:1", UPPER_CASE),
        (":1", not_a_repository("")),
        ("/a:1", not_a_repository("/a")),
        ("a/:1", not_a_repository("a/")),
        ("a//b:1", not_a_repository("a//b")),
        ("a/../b:1", not_a_repository("a/../b")),
        ("a..b:1", not_a_repository("a..b")),
        ("a___b:1", not_a_repository("a___b")),
        ("-a:1", not_a_repository("-a")),
        ("a-:1", not_a_repository("a-")),
        ("a b:1", not_a_repository("a b")),
        ("a/ü:1", not_a_repository("a/ü")),
        ("a\n:1", not_a_repository("a\n")),
        ("a/²:1", not_a_repository("a/²")),
        ("a" * 256 + ":1", not_a_repository("a" * 256)),
        ("a/b:", not_a_tag("")),
        ("a/b:.1", not_a_tag(".1")),
        ("a/b:-1", not_a_tag("-1")),
        ("a/b:1/2", not_a_tag("1/2")),
        ("a/b:1\n", not_a_tag("1\n")),
        ("a/b: 1", not_a_tag(" 1")),
        ("a/b:1+2", not_a_tag("1+2")),
        ("a/b:1*", not_a_tag("1*")),
        ("a/b:é", not_a_tag("é")),
        ("a/b:\x00", not_a_tag("\x00")),
        ("a/b:" + "1" * 129, not_a_tag("1" * 129)),
    ],
)
def test_unusable_names_say_why_and_how_to_write_it(text, reason):
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert str(caught.value) == (f"image name {text!r}: {reason}. Write it as REPO:TAG, such as skyport/velvet:1.2.10.")


def test_a_long_row_of_separators_is_refused_quickly():
    # A grammar that backtracks would take forever on it.
    with pytest.raises(UsageError):
        parse_reference("a-" * 100_000 + ":1")


@pytest.mark.slow
@given(REPOSITORY, TAG)
def test_every_name_of_the_grammar_is_read_back(repository, tag):
    reference = parse_reference(f"{repository}:{tag}")
    assert reference == ImageReference(repository, tag)
    assert parse_reference(str(reference)) == reference


@pytest.mark.slow
@given(REPOSITORY, TAG)
def test_a_key_is_a_safe_file_name(repository, tag):
    key = ImageReference(repository, tag).key
    assert re.fullmatch(r"[A-Za-z0-9._-]+", key)
    assert key not in (".", "..")


@pytest.mark.slow
@given(REPOSITORY, TAG)
def test_awe_looks_up_by_name_whatever_can_be_published(repository, tag):
    lookup = plan_lookup(str(ImageReference(repository, tag)))
    assert lookup.query == {"type": "dockerimage", "name": f"{repository}:{tag}"}


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_a_usage_error(text):
    try:
        assert str(parse_reference(text)) == text
    except UsageError as error:
        assert repr(text) in str(error)


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("debian", "debian:latest"),
        ("debian:bookworm", "debian:bookworm"),
        ("library/debian:bookworm", "debian:bookworm"),
        ("docker.io/debian:bookworm", "debian:bookworm"),
        ("docker.io/library/debian:bookworm", "debian:bookworm"),
        ("index.docker.io/debian:bookworm", "debian:bookworm"),
        ("docker.io/lab/a:1", "lab/a:1"),
        (f"lab/a:1@{DIGEST}", "lab/a:1"),
        (f"docker.io/lab/a@{DIGEST}", "lab/a:latest"),
        ("library/lab/a:1", "library/lab/a:1"),
        ("docker.io/library/lab/a:1", "library/lab/a:1"),
        ("localhost/a:1", "localhost/a:1"),
        ("localhost/library/a:1", "localhost/library/a:1"),
        ("ghcr.io/library/a:1", "ghcr.io/library/a:1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("localhost:5000/a:1", "localhost:5000/a:1"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
    ],
)
def test_docker_has_one_short_name_for_each_image(name, short):
    assert is_docker_name(name)
    assert short_docker_name(name) == short
    assert short_docker_name(short) == short


@pytest.mark.parametrize(
    "name",
    [
        *("", "a-", "a/B", "a b", "a:", "a:1:2", "/a", "a/", "a//b", '"a"', "$a", "a:\n"),
        *("a@sha256:12", f"a@sha256:{1:063}", f"a@sha256:{'A' * 64}", f"a@md5:{1:032}"),
    ],
)
def test_what_docker_takes_for_no_name(name):
    assert not is_docker_name(name)


@given(st.text(max_size=40))
def test_any_text_has_a_short_name(text):
    assert ":" in short_docker_name(text)
    is_docker_name(text)


@pytest.mark.parametrize("text", ["a." * 100_000, "a-" * 100_000, "a/" * 100_000, "[" + ":" * 100_000, "a:" * 100_000])
def test_long_names_are_judged_in_time(text):
    begun = time.process_time()
    assert not is_docker_name(text)
    short_docker_name(text)
    assert time.process_time() - begun < 5
