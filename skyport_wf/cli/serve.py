"""`skyport-wf serve`."""

import argparse
import logging
import os
from pathlib import Path

from skyport_wf.cli.arguments import any_path, auth_word, whole_number
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import SkyportError, UsageError

RIGHTS = ("read", "write", "delete")
NO_RIGHT = "none"
_LAST_PORT = 65535

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
    port = whole_number(f"a port. Give a number from 0 to {_LAST_PORT}", most=_LAST_PORT)
    parser.add_argument("--port", type=port, default=7445, help="0 for any that is free (default: %(default)s)")
    parser.add_argument(
        "--data", type=any_path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)"
    )
    parser.add_argument(
        "--anonymous",
        metavar="RIGHTS",
        help="what users without a token may do: some of read,write,delete, or none (default: read)",
    )
    parser.add_argument("--public-url", metavar="URL", help="where clients reach the server, if not at host and port")
    parser.add_argument(
        "--shock", metavar="URL", help="be a registry of the images on another Shock, and no store: a gateway to it"
    )
    parser.add_argument(
        "--shock-auth",
        type=auth_word,
        metavar="WORD",
        help="the word before a token for that Shock, or `basic` (default: OAuth)",
    )
    parser.add_argument(
        "--no-redirect",
        action="store_true",
        help="send all layers through the gateway, for a cache in front of it, instead of naming the Shock's address",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Serve the embedded Shock, and a registry of its images, until it is told to stop."""
    _check_variables()
    return _serve_gateway(args) if args.shock is not None else _serve_store(args)


def _check_variables() -> None:
    """Have what is wrong with variables known now, not by each request that fails.

    Raises UsageError for one that makes no sense. Where the cache cannot be written, images can be pulled.
    """
    from skyport_wf.cache import CACHE_VARIABLE, cache_folder
    from skyport_wf.retries import retry_seconds

    retry_seconds()
    try:
        folder = cache_folder("registry", "pushed")
        problem = "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written to."
    except UsageError as error:
        if os.environ.get(CACHE_VARIABLE):
            raise
        problem = str(error)
    except SkyportError as error:
        problem = str(error)
    if problem:
        _log.warning("images can be pulled from here, not pushed: %s", problem)


def _serve_store(args: argparse.Namespace) -> Outcome:
    from skyport_wf.http_session import is_loopback
    from skyport_wf.image_list.spec import EMBEDDED
    from skyport_wf.pages.app import PagesApp
    from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
    from skyport_wf.registry.backend import EmbeddedBackend
    from skyport_wf.serving.server import serve
    from skyport_wf.store.opening import open_store
    from skyport_wf.store.wsgi.app import ShockApp
    from skyport_wf.user_folders import default_data

    if args.shock_auth is not None or args.no_redirect:
        raise UsageError("--shock-auth and --no-redirect are for a gateway: name its Shock with --shock.")
    rights = _rights("read" if args.anonymous is None else args.anonymous)
    public_url = _public_url(args.public_url)
    data = args.data or default_data()
    if args.data:
        _leave_out_of_contexts(args.data)
    with open_store(data) as store:
        what = "the store" if store.database.exists() else "a new, empty store"
        if not (store.database.exists() and store.folder.is_read_only()):
            # Not at the first upload: a folder that cannot be used is to be known now.
            store.database.prepare()
        shock = ShockApp(store, anonymous=rights, public_url=public_url)
        backend = EmbeddedBackend(shock)
        registry = RegistryApp(backend, public_url=public_url)
        app = PagesApp(
            ShockWithRegistry(shock, registry), backend, shock=EMBEDDED, title="skyport-wf", public_url=public_url
        )

        def maintain() -> None:
            app.maintain()
            registry.maintain()
            store.maintain()

        def ready(url: str) -> None:
            if rights - {"read"} and not is_loopback(args.host):
                _log.warning(
                    "everyone who reaches this machine may %s without a token. Leave that out of --anonymous, or "
                    "listen at 127.0.0.1.",
                    " and ".join(sorted(rights - {"read"}, key=RIGHTS.index)),
                )
            text = "" if args.quiet else f"Shock with {what} in {data} answers at {url}"
            Outcome({"url": url, "data": str(data)}, text).write(as_json=args.json)

        serve(app, args.host, args.port, maintain=maintain, ready=ready)
    return Outcome(None, "")


def _leave_out_of_contexts(data: Path) -> None:
    """Note beside the image list of the project that a store lies in that it is in no build context.

    Publishing to this server knows nothing of its folder, which is another after each request.
    """
    from skyport_wf.image_list.place import find_list_above
    from skyport_wf.sources.written import note_written

    if found := find_list_above(data.resolve()):
        try:
            note_written(found.parent, [found.parent], [str(data)])
        except SkyportError as error:
            _log.warning("%s", error)


def _serve_gateway(args: argparse.Namespace) -> Outcome:
    from skyport_wf.image_list.spec import EMBEDDED, ShockSettings, check_shock_url
    from skyport_wf.pages.app import PagesApp
    from skyport_wf.publication.settings import ca_bundle
    from skyport_wf.registry.app import RegistryApp
    from skyport_wf.registry.backend import RemoteBackend
    from skyport_wf.serving.server import serve

    if args.data is not None or args.anonymous is not None:
        raise UsageError("--data and --anonymous are for a store here, and --shock is for one elsewhere. Choose.")
    shock = check_shock_url(args.shock, where="--shock")
    if shock == EMBEDDED:
        raise UsageError("--shock names a Shock elsewhere. Without it, the embedded Shock is served.")
    backend = RemoteBackend(
        shock,
        auth=args.shock_auth or ShockSettings().auth,
        ca_bundle=ca_bundle(ShockSettings()),
        redirects=not args.no_redirect,
    )

    def ready(url: str) -> None:
        text = "" if args.quiet else f"a registry of the images on {shock} answers at {url}"
        Outcome({"url": url, "shock": shock}, text).write(as_json=args.json)

    public_url = _public_url(args.public_url)
    registry = RegistryApp(backend, public_url=public_url)
    app = PagesApp(registry, backend, shock=shock, title=f"Images on {shock}", public_url=public_url)

    def maintain() -> None:
        app.maintain()
        registry.maintain()

    serve(app, args.host, args.port, maintain=maintain, ready=ready)
    return Outcome(None, "")


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("not an address. Give one of this machine, such as 127.0.0.1")
    return text


def _public_url(text: str | None) -> str | None:
    """Return the address for clients. Raises UsageError, without showing it, for one with a secret, or none."""
    from skyport_wf.image_list.spec import check_public_url

    return None if text is None else check_public_url(text, where="--public-url")


def _rights(text: str) -> frozenset[str]:
    rights = frozenset(word.strip() for word in text.split(",")) - {""}
    if not rights:
        raise UsageError(f"--anonymous {text!r} names no right. Give some of {','.join(RIGHTS)}, or {NO_RIGHT}.")
    if unknown := rights - {*RIGHTS, NO_RIGHT}:
        raise UsageError(f"--anonymous: unknown right {', '.join(sorted(unknown))}. Give some of {','.join(RIGHTS)}.")
    if NO_RIGHT in rights and len(rights) > 1:
        raise UsageError(f"--anonymous: `{NO_RIGHT}` stands alone")
    return rights - {NO_RIGHT}
