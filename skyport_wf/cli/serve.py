"""`skyport-wf serve`."""

import argparse
import logging
from contextlib import suppress
from pathlib import Path

from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import UsageError

_RIGHTS = ("read", "write", "delete")
_PORTS = range(65536)

_log = logging.getLogger(__name__)


EXAMPLES = (
    "skyport-wf serve",
    "skyport-wf serve --host 0.0.0.0 --port 7445",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="the address, or name, to listen at; 0.0.0.0 for all of this machine's (default: %(default)s)",
    )
    parser.add_argument("--port", type=_port, default=7445, help="0 for any that is free (default: %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)")
    parser.add_argument(
        "--anonymous",
        default="read",
        metavar="RIGHTS",
        help="what users without a token may do: some of read,write,delete, or none (default: %(default)s)",
    )
    parser.add_argument("--public-url", metavar="URL", help="where clients reach the server, if not at host and port")


def run(args: argparse.Namespace) -> Outcome:
    """Serve the embedded Shock until it is told to stop."""
    from skyport_wf.http_session import is_loopback
    from skyport_wf.serving.server import serve
    from skyport_wf.store.folder import default_data
    from skyport_wf.store.opening import open_store
    from skyport_wf.store.wsgi.app import ShockApp

    rights = _rights(args.anonymous)
    public_url = _public_url(args.public_url)
    data = args.data or default_data()
    with open_store(data) as store:
        what = "the store" if store.database.exists() else "a new, empty store"
        # Not at the first upload: a folder that cannot be used is to be known now.
        store.database.prepare()
        app = ShockApp(store, anonymous=rights, public_url=public_url)

        def ready(url: str) -> None:
            if rights - {"read"} and not is_loopback(args.host):
                _log.warning(
                    "everyone who reaches this machine may %s without a token. Leave that out of --anonymous, or "
                    "listen at 127.0.0.1.",
                    " and ".join(sorted(rights - {"read"}, key=_RIGHTS.index)),
                )
            text = "" if args.quiet else f"Shock with {what} in {data} answers at {url}"
            Outcome({"url": url, "data": str(data)}, text).write(as_json=args.json)

        serve(app, args.host, args.port, maintain=store.maintain, ready=ready)
    return Outcome(None, "")


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("not an address. Give one of this machine, such as 127.0.0.1")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in _PORTS):
        raise argparse.ArgumentTypeError(f"not a port. Give a number from 0 to {_PORTS[-1]}")
    return int(text)


def _public_url(text: str | None) -> str | None:
    """Return the address for clients. Raises UsageError, without showing it, for one with a secret, or none."""
    if text is None:
        return None
    if "@" in text:
        raise UsageError("--public-url: everyone would see the user or password in the URL. Leave it out.")
    with suppress(UsageError):
        from skyport_wf.image_list.spec import EMBEDDED, check_shock_url

        if text != EMBEDDED:
            return check_shock_url(text, where="--public-url")
    raise UsageError("--public-url: not a URL. Write http:// or https:// and a host, without parameters.")


def _rights(text: str) -> frozenset[str]:
    rights = frozenset(word.strip() for word in text.split(",")) - {"", "none"}
    if unknown := rights - frozenset(_RIGHTS):
        raise UsageError(f"--anonymous: unknown right {', '.join(sorted(unknown))}. Give some of {','.join(_RIGHTS)}.")
    return rights
