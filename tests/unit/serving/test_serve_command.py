"""The command line of `skyport-wf serve`: values that mean nothing are refused before anything is made."""

import argparse
import logging

import pytest

from skyport_wf.cli import serve
from skyport_wf.errors import UsageError


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser(exit_on_error=False)
    serve.add_arguments(parser)

    def parse(*arguments):
        args = parser.parse_args(arguments)
        args.quiet = args.json = False
        return args

    return parse


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "x", "", "1.5", "²", "9" * 5000])
def test_what_is_no_port(port, parse):
    with pytest.raises(argparse.ArgumentError, match=r"not a port\. Give a number from 0 to 65535"):
        parse(f"--port={port}")


@pytest.mark.parametrize("host", ["", " ", "a b", "\0", "a\n"])
def test_what_is_no_host(host, parse):
    with pytest.raises(argparse.ArgumentError, match="not an address"):
        parse(f"--host={host}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:s3cret@example.org", "everyone would see the user or password"),
        ("https://s3cret@example.org", "everyone would see"),
        ("nonsense", "not a URL"),
        ("embedded", "not a URL"),
        ("ftp://example.org", "not a URL"),
        ("http://", "not a URL"),
        ("https://example.org/?token=s3cret", "not a URL"),
    ],
)
def test_a_public_url_without_secrets(url, said, parse, tmp_path):
    with pytest.raises(UsageError, match=said) as caught:
        serve.run(parse("--public-url", url, "--data", str(tmp_path / "new")))
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (["--host", "0.0.0.0", "--anonymous", "read,write"], "may write without a token"),
        (["--host", "::", "--anonymous", "read,delete,write"], "may write and delete without a token"),
        (["--host", "lab.example", "--anonymous", "delete"], "may delete without a token"),
        (["--host", "0.0.0.0"], None),
        (["--anonymous", "read,write,delete"], None),
        (["--host", "::1", "--anonymous", "write"], None),
        (["--host", "localhost", "--anonymous", "write"], None),
    ],
)
def test_a_server_that_everyone_may_write_to_is_warned_of(
    arguments, warned, parse, tmp_path, monkeypatch, caplog, capsys
):
    def serve_at_once(app, host, port, *, maintain, ready):
        ready("http://192.0.2.1:7445")

    monkeypatch.setattr("skyport_wf.serving.server.serve", serve_at_once)
    caplog.set_level(logging.WARNING)
    serve.run(parse("--data", str(tmp_path / "new"), *arguments))
    assert [warned in message for message in caplog.messages] == ([True] if warned else [])
    assert (
        capsys.readouterr().out == f"Shock with a new, empty store in {tmp_path}/new answers at http://192.0.2.1:7445\n"
    )
    serve.run(parse("--data", str(tmp_path / "new")))
    assert capsys.readouterr().out.startswith("Shock with the store in ")


@pytest.fixture
def served(monkeypatch):
    """What would be served."""
    apps = []
    monkeypatch.setattr("skyport_wf.serving.server.serve", lambda app, *_, **__: apps.append(app))
    return apps


@pytest.mark.parametrize("arguments", [[], ["--shock", "http://192.0.2.1"]])
@pytest.mark.parametrize(("variable", "value"), [("SKYPORT_RETRY_SECONDS", "abc"), ("SKYPORT_CACHE", "a/b")])
def test_a_variable_that_makes_no_sense_is_refused(variable, value, arguments, parse, tmp_path, monkeypatch, served):
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "new"))
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"{variable}.*{value}"):
        serve.run(parse(*arguments))
    assert served == []
    assert not (tmp_path / "new").exists()


def test_a_cache_that_cannot_be_used_is_warned_of(parse, tmp_path, monkeypatch, caplog, served):
    monkeypatch.setenv("SKYPORT_CACHE", "/proc/nowhere")
    serve.run(parse("--data", str(tmp_path / "new")))
    assert len(served) == 1
    assert "not pushed" in caplog.text
    assert "/proc/nowhere" in caplog.text
