"""What the tests of the CWL documents need: runners, jobs, and a served Shock with a user."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import CHECKOUT, COMMANDS, run
from tests.support.own_server import running_server

WORKFLOWS = CHECKOUT / "workflows"
DOCUMENTS = sorted(
    path.relative_to(CHECKOUT) for path in (*WORKFLOWS.rglob("*.cwl"), *CHECKOUT.glob("examples/*/*.cwl"))
)
TOKEN = "s3cret-T0ken-of-the-lab"
JSON_FORMAT = "http://edamontology.org/format_3464"


class Runner(msgspec.Struct):
    """A CWL runner in a folder of its own."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()

    def run(self, document: Path, job: dict[str, Any], *options: str) -> "Run":
        """Run the document with the job; its outputs go to a folder that this run alone has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.iterdir()))
        folder = self.folder / f"run-{number}"
        folder.mkdir()
        (folder / "job.yml").write_text(yaml.safe_dump(job))
        done = run(
            self.name, "--enable-ext", "--outdir", str(folder / "out"), *self.options, *options,
            str(document), str(folder / "job.yml"), folder=folder, variables=self.environment(folder),
        )  # fmt: skip
        return Run(done.code, done.out, done.log, folder)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return a user's environment: nothing of the Shock, that is for the job to say."""
        ours = ("SHOCK_URL", "KB_AUTH_TOKEN", "SKYPORT_DATA", "SHOCK_TOKEN_FILE")
        given = {name: value for name, value in os.environ.items() if name not in ours}
        return given | {
            "PATH": os.pathsep.join((str(COMMANDS), os.environ["PATH"])),
            "SKYPORT_RETRY_SECONDS": "0.5",
            "TMPDIR": str(_made(folder / "tmp")),
        }


class Run(msgspec.Struct):
    """What a runner ended with."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def outputs(self) -> dict[str, Any]:
        """The output object."""
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)

    def read(self, output: str) -> Any:
        """Return what is in the JSON file, or the list of them, that an output names."""
        value = self.outputs[output]
        files = value if isinstance(value, list) else [value]
        documents = [json.loads((self.folder / "out" / file["basename"]).read_text()) for file in files]
        return documents if isinstance(value, list) else documents[0]


def cwltool(folder: Path, *options: str) -> Runner:
    """Return cwltool; the command's own retries are kept short."""
    return Runner("cwltool", folder, ("--preserve-environment", "SKYPORT_RETRY_SECONDS", *options))


def toil(folder: Path, *options: str) -> Runner:
    """Return toil-cwl-runner, on this machine."""
    quick = ("--retryCount", "0", "--disableCaching", "--disableProgress")
    return Runner("toil-cwl-runner", folder, (*quick, *options))


def directory(path: Path) -> dict[str, str]:
    """Return a Directory input."""
    return {"class": "Directory", "location": str(path)}


def a_file(path: Path, form: str = JSON_FORMAT) -> dict[str, str]:
    """Return a File input."""
    return {"class": "File", "location": str(path), "format": form}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def served_shock(data: Path) -> Iterator[str]:
    """Serve the store in `data`, with a user whose token is TOKEN, and yield its URL."""
    with open_store(data) as store, running_server(ShockApp(store)) as server:
        add_user(store.database, "lab", admin=False, token=TOKEN)
        yield server.url


def published(data: Path) -> list[dict[str, Any]]:
    """Return the images that the store in `data` has."""
    variables = {**os.environ, "SKYPORT_DATA": str(data), "SHOCK_URL": ""}
    return run("skyport-wf", "ls", "--json", folder=data.parent, variables=variables).result["images"]


def same_image(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return what of a receipt does not depend on where and when the image was published."""
    return {
        key: value
        for key, value in receipt.items()
        if key not in ("node", "download_url", "registered", "shock", "use")
    }
