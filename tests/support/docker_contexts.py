"""Docker contexts, as `docker context create` and `docker context use` write them."""

import hashlib
import json
from pathlib import Path


def write_context(folder: Path, name: str, host: str, *, current: bool = False, certificates: bool = False) -> None:
    """Write a context into a folder of docker's config.

    current: make it the one that is used.
    certificates: give it files for TLS, which are empty.
    """
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if certificates:
        place = folder / "contexts/tls" / digest / "docker"
        place.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (place / file).touch()
    if current:
        (folder / "config.json").write_text(json.dumps({"currentContext": name}))
