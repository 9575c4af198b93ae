import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import SOURCES, ImageSpec, check_shock_url


@pytest.mark.parametrize("url", ["embedded", "http://a", "https://a.b:1/c"])
def test_urls_are_returned_as_they_are(url):
    assert check_shock_url(url, where="here") == url


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("HTTP://Shock.Example.ORG/Api/", "http://shock.example.org/Api"),
        ("http://a:80", "http://a"),
        ("https://a:443/b", "https://a/b"),
        ("http://a:443", "http://a:443"),
        ("https://a:", "https://a"),
        ("http://[::A]:80", "http://[::a]"),
    ],
)
def test_one_server_has_one_spelling(written, url):
    assert check_shock_url(written, where="here") == url


def test_slashes_at_the_end_are_dropped():
    assert check_shock_url("http://a/b//", where="here") == "http://a/b"


def test_the_message_says_where():
    with pytest.raises(UsageError, match=r"^the variable SHOCK_URL: not the URL of a Shock server"):
        check_shock_url("nonsense", where="the variable SHOCK_URL")


@pytest.mark.parametrize("source", SOURCES)
def test_the_source_is_the_one_that_is_set(source):
    image = ImageSpec("a/b:1", **{source: "x"})
    assert image.source == source
    assert image.sources == (source,)
