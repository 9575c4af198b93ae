"""A store of a few images as a lab has them, one of which was made to do harm, behind the pages that people see."""

import base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from skyport_wf.image.examination.package_list import pack
from skyport_wf.pages.app import PagesApp
from skyport_wf.publication.attributes import PACKAGES_KEY
from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.access import Acl
from skyport_wf.store.database import timestamp
from skyport_wf.store.files import Content
from skyport_wf.store.node import StoredNode
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.rows import insert_node
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.examined_images import examine
from tests.support.registry import publish
from tests.support.store_people import Person

HARM = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"
_OS = b'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
_DOCKERFILE = "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends {}\n"


class Shown(NamedTuple):
    """A store with its pages."""

    app: PagesApp
    shock: ShockApp
    folder: Path
    tokens: dict[str, str]
    nodes: dict[str, str]
    """The node of each image, by name."""


def dpkg(**versions: str) -> bytes:
    """Return Debian's database of these packages; the library of openssl is built from that."""
    entry = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n{}\n"
    return "".join(
        entry.format(name.replace("_", "-"), version, "Source: openssl\n" if name == "libssl3" else "")
        for name, version in versions.items()
    ).encode()


def an_image(**versions: str) -> Image:
    """Return an image with these packages of Debian's, and a file that its second layer deletes."""
    status = "var/lib/dpkg/status"
    return Image(
        (
            layer_tar({"etc/os-release": _OS, status: dpkg(base_files="12.4"), "var/cache/left.bin": bytes(400_000)}),
            layer_tar({status: dpkg(base_files="12.4", **versions), "var/cache/.wh.left.bin": b"", "bin/bash": b"x"}),
            layer_tar({"opt/tool": bytes(150_000)}),
        ),
        labels={"org.opencontainers.image.source": "https://git.example.org/lab/tools", "lab.note": "of the lab"},
    )


def dockerfile(packages: str) -> str:
    return base64.b64encode(_DOCKERFILE.format(packages).encode()).decode()


@contextmanager
def shown_images(folder: Path) -> Iterator[Shown]:
    """Give a store with images of alice's.

    There are two tags of one repository, whose nodes list their packages, a private image, and one that does harm.
    """
    with open_store(folder / "data") as store:
        shock = ShockApp(store)
        tokens = {name: add_user(store.database, name) for name in ("alice", "bob")}
        alice, nodes = Person(shock, tokens["alice"]), {}
        for tag, version, described in (("1.16.1", "1.1.1w-0", "for Lustre"), ("1.17", "3.0.11-1", "for all")):
            name = f"lab/samtools:{tag}"
            more = {"curl": "7.88"} if tag == "1.17" else {}
            image = an_image(openssl=version, libssl3=version, zlib1g="1:1.2.13", **more)
            listed = {PACKAGES_KEY: pack(examine(image).listed)}
            nodes[name] = publish(
                alice, folder, name, image, dockerfile=dockerfile(f"samtools={tag}"), description=described, **listed
            )
        nodes["lab/secret:1"] = publish(alice, folder, "lab/secret:1", an_image(openssl="3.0.11-1"), public=False)
        harmful = Image((layer_tar({"etc/os-release": _OS}),), labels={"harm": HARM, "url": "javascript:harm()"})
        nodes["harm"] = publish(alice, folder, "lab/harm:1", harmful, name=f"lab/{HARM}:1", dockerfile=dockerfile(HARM))
        backend = EmbeddedBackend(shock)
        app = PagesApp(
            ShockWithRegistry(shock, RegistryApp(backend)), backend, shock="embedded", title="Images of the lab"
        )
        yield Shown(app, shock, folder, tokens, nodes)


def add_many(store: Store, ids: Iterable[str]) -> None:
    """Put published images on nodes of these ids into a store, at once: by its own door many would take minutes."""
    acl = Acl("public", ("public",))
    content = Content("00000000-0000-4000-8000-000000000000", 1000, "0" * 32)
    with store.database.write(much=True) as connection:
        for serial, node_id in enumerate(ids):
            group, tag = serial // 4, f"1.{serial % 4}"
            repository = f"lab{group % 40}/tool{group:05}"
            attributes = {
                "type": "dockerimage",
                "name": f"{repository}:{tag}",
                "repository": repository,
                "tag": tag,
                "id": f"sha256:{serial:064x}",
            }
            node = StoredNode(
                node_id,
                acl,
                attributes=msgspec.Raw(msgspec.json.encode(attributes)),
                content=content,
                created_on=timestamp(),
            )
            insert_node(connection, node)
