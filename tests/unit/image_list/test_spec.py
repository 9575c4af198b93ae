import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import SOURCES, ImageSpec, check_shock_url


@pytest.mark.parametrize("url", ["embedded", "http://a", "https://a.b:1/c"])
def test_urls_are_returned_as_they_are(url):
    assert check_shock_url(url, where="here") == url


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
