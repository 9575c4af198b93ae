"""How a server is reached: with which word and token, over which certificates, through which proxy."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.http_server import Authority, Recording, http_server, make_authority
from tests.support.lab import NAME, Lab, incompressible_layer

TOKEN = "s3cr3t-t0ken"
STEPS = (
    ["build", NAME, "--record", "build.json"],
    ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
    ["upload", "save.json", "--record", "upload.json"],
    ["register", "upload.json", "--record", "receipt.json"],
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "one")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "another")


def a_lab(folder: Path, store: Store, token: str = TOKEN, *, stored: str | None = None, settings: str = "") -> Lab:
    add_user(store.database, "alice", token=stored or token)
    lab = Lab(folder / "lab", token)
    lab.variables |= {"SKYPORT_RETRY_SECONDS": "5", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
    lab.write(incompressible_layer(1000), settings=settings)
    return lab


def publish_in_steps(lab: Lab, **variables: str) -> None:
    for command in STEPS:
        done = lab.run(*command, **variables)
        assert done.code == 0, done.log


@pytest.mark.parametrize(
    ("settings", "token", "header"),
    [
        ("", TOKEN, f"OAuth {TOKEN}"),
        ("auth: OAuth", TOKEN, f"OAuth {TOKEN}"),
        ("auth: Bearer", TOKEN, f"Bearer {TOKEN}"),
        ("auth: mgrast", TOKEN, f"mgrast {TOKEN}"),
        ("auth: basic", "alice:pass:word", f"Basic {base64.b64encode(b'alice:pass:word').decode()}"),
        ("auth: Basic", "alice:", f"Basic {base64.b64encode(b'alice:').decode()}"),
    ],
)
def test_the_word_before_the_token(tmp_path: Path, store: Store, settings: str, token: str, header: str) -> None:
    lab = a_lab(tmp_path, store, token, stored=header.split()[1], settings=settings)
    app = Recording(ShockApp(store))
    with http_server(app) as port:
        publish_in_steps(lab, SHOCK_URL=f"http://127.0.0.1:{port}")
    # Without a header it asks as an AWE worker would.
    assert app.authorizations == {header, None}
    assert token not in "".join(path.read_text(errors="replace") for path in lab.folder.glob("*.json"))


def test_a_token_that_does_not_fit_basic(tmp_path: Path, store: Store) -> None:
    lab = a_lab(tmp_path, store, settings="auth: basic")
    done = lab.run(*STEPS[0], SHOCK_URL="http://127.0.0.1:9")
    assert done.code == 2
    assert "the token in KB_AUTH_TOKEN has no `:`. With `auth: basic`, write USER:PASSWORD." in done.log


def test_a_private_authority_of_the_image_list(
    tmp_path: Path, store: Store, authority: Authority, stranger: Authority
) -> None:
    lab = a_lab(tmp_path, store, settings="ca_bundle: tls/lab.pem")
    (lab.folder / "tls").mkdir()
    shutil.copy(authority.certificates, lab.folder / "tls/lab.pem")
    with http_server(ShockApp(store), authority) as port:
        # It wins over what the environment says.
        variables = {"SHOCK_URL": f"https://127.0.0.1:{port}", "REQUESTS_CA_BUNDLE": str(stranger.certificates)}
        publish_in_steps(lab, **variables)
        assert lab.run("publish", "--all", **variables).code == 0
        assert lab.run("ls", **variables).code == 0


def test_a_private_authority_of_the_environment(tmp_path: Path, store: Store, authority: Authority) -> None:
    lab = a_lab(tmp_path, store)
    with http_server(ShockApp(store), authority) as port:
        publish_in_steps(lab, SHOCK_URL=f"https://127.0.0.1:{port}", REQUESTS_CA_BUNDLE=str(authority.certificates))


def test_a_server_of_an_unknown_authority_is_not_trusted(
    tmp_path: Path, store: Store, authority: Authority, stranger: Authority
) -> None:
    lab = a_lab(tmp_path, store)
    app = Recording(ShockApp(store))
    with http_server(app, authority) as port:
        url = f"https://127.0.0.1:{port}"
        for variables in ({}, {"REQUESTS_CA_BUNDLE": str(stranger.certificates)}):
            done = lab.run(*STEPS[0], SHOCK_URL=url, **variables)
            assert done.code == 1
            assert f"Shock at {url} cannot be trusted: " in done.log
            assert "`shock.ca_bundle`" in done.log
            assert "Trying again" not in done.log
        findings = lab.findings(SHOCK_URL=url)
    assert "cannot be trusted" in findings["Shock"]
    assert app.answers == []


def test_a_certificate_of_another_host_is_not_trusted(tmp_path: Path, store: Store) -> None:
    elsewhere = make_authority(tmp_path / "elsewhere", name="DNS:shock.example.org")
    lab = a_lab(tmp_path, store)
    app = Recording(ShockApp(store))
    with http_server(app, elsewhere) as port:
        done = lab.run(*STEPS[0], SHOCK_URL=f"https://127.0.0.1:{port}", REQUESTS_CA_BUNDLE=str(elsewhere.certificates))
    assert done.code == 1
    assert "cannot be trusted: IP address mismatch, certificate is not valid for '127.0.0.1'. " in done.log
    assert app.answers == []


def test_a_server_without_tls(tmp_path: Path, store: Store) -> None:
    lab = a_lab(tmp_path, store)
    with http_server(ShockApp(store)) as port:
        done = lab.run(*STEPS[0], SHOCK_URL=f"https://127.0.0.1:{port}")
    assert done.code == 1
    assert "cannot be trusted: it does not speak TLS; perhaps its URL begins with http://." in done.log


def test_a_file_of_authorities_that_is_none(tmp_path: Path, store: Store, authority: Authority) -> None:
    lab = a_lab(tmp_path, store, settings="ca_bundle: missing.pem")
    with http_server(ShockApp(store), authority) as port:
        url = f"https://127.0.0.1:{port}"
        done = lab.run(*STEPS[0], SHOCK_URL=url)
        assert done.code == 2
        assert "shock.ca_bundle of the image list names" in done.log
        assert "missing.pem, which is not there" in done.log
        (lab.folder / "missing.pem").write_text("no certificates\n")
        done = lab.run(*STEPS[0], SHOCK_URL=url)
        assert done.code == 1
        assert "cannot be trusted: the file of certificate authorities has none in it. " in done.log
        lab.write(incompressible_layer(1000))
        done = lab.run(*STEPS[0], SHOCK_URL=url, REQUESTS_CA_BUNDLE="/nonexistent.pem")
        assert done.code == 2
        assert "the variable REQUESTS_CA_BUNDLE names /nonexistent.pem" in done.log


def test_the_usual_variables_name_a_proxy(tmp_path: Path, store: Store) -> None:
    lab = a_lab(tmp_path, store)
    app = Recording(ShockApp(store))
    with http_server(app) as port:
        variables = {"SHOCK_URL": "http://shock.invalid:7445", "http_proxy": f"http://127.0.0.1:{port}"}
        publish_in_steps(lab, no_proxy="example.org", **variables)
        assert app.hosts == {"shock.invalid:7445"}
        seen = len(app.answers)
        done = lab.run(*STEPS[0], no_proxy="shock.invalid", SKYPORT_RETRY_SECONDS="0", **variables)
        assert done.code == 75
        assert len(app.answers) == seen


def test_a_proxy_that_is_not_there(tmp_path: Path, store: Store) -> None:
    lab = a_lab(tmp_path, store)
    done = lab.run(
        *STEPS[0], SHOCK_URL="http://shock.invalid", http_proxy="http://127.0.0.1:9", no_proxy="",
        SKYPORT_RETRY_SECONDS="0",
    )  # fmt: skip
    assert done.code == 75
    assert "cannot be reached: Connection refused" in done.log
