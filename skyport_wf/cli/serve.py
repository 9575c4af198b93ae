"""`skyport-wf serve`."""

import argparse
from pathlib import Path

from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import UsageError

_RIGHTS = ("read", "write", "delete")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7445, help="0 for any that is free (default: %(default)s)")
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
    from skyport_wf.serving.server import serve
    from skyport_wf.store.folder import default_data
    from skyport_wf.store.opening import open_store
    from skyport_wf.store.wsgi.app import ShockApp

    data = args.data or default_data()
    with open_store(data) as store:
        what = "the store" if store.database.exists() else "a new, empty store"
        # Not at the first upload: a folder that cannot be used is to be known now.
        store.database.prepare()
        app = ShockApp(store, anonymous=_rights(args.anonymous), public_url=args.public_url)

        def ready(url: str) -> None:
            text = "" if args.quiet else f"Shock with {what} in {data} answers at {url}"
            Outcome({"url": url, "data": str(data)}, text).write(as_json=args.json)

        serve(app, args.host, args.port, maintain=store.maintain, ready=ready)
    return Outcome(None, "")


def _rights(text: str) -> frozenset[str]:
    rights = frozenset(word.strip() for word in text.split(",")) - {"", "none"}
    if unknown := rights - frozenset(_RIGHTS):
        raise UsageError(f"--anonymous: unknown right {', '.join(sorted(unknown))}. Give some of {','.join(_RIGHTS)}.")
    return rights
