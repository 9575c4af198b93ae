import re

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import UsageError
from skyport_wf.image_list.images_yaml import parse_image_list, read_image_list
from skyport_wf.image_list.spec import ImageList, ImageSpec, ShockSettings

ONE = "images:\n- name: a/b:1\n  dockerfile: D\n"
FIELDS = ", ".join(ImageSpec.__struct_fields__)
OF_SHOCK = ", ".join(ShockSettings.__struct_fields__)
SOURCES = "dockerfile, snapshot, container, image, archive, registry"
SECRET = "s3cr3t-PASSWORD.of/mine"


def problem(text: str) -> str:
    """Return the sentence that tells of the only mistake; the line and carets that follow it are tested apart."""
    sentence, *_ = problems(text).splitlines()
    return sentence


def problems(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_image_list(text)
    return str(caught.value)


def test_everything_at_once():
    images = parse_image_list(
        """\
shock:
  url: https://shock.example.org/api/
  token_env: MY_TOKEN
  public: false
  public_url: https://elsewhere.example.org
images:
  - name: skyport/velvet:1.2.10
    dockerfile: images/velvet/Dockerfile
    context: .
    build_args: {VERSION: "1.10", EMPTY: ""}
    target: final
    platform: linux/amd64
    network: host
    pull: true
    no_cache: true
    labels: {org.example.tool: velvet}
    public: true
    replace: true
    description: Velvet
  - {name: skyport/muscle:3.8, image: "muscle:local"}
  - {name: skyport/old:1, archive: old.tar.gz}
"""
    )
    assert images.shock == ShockSettings(
        "https://shock.example.org/api/", "MY_TOKEN", public=False, public_url="https://elsewhere.example.org"
    )
    velvet = images.images[0]
    assert velvet.build_args == {"VERSION": "1.10", "EMPTY": ""}
    assert velvet.labels == {"org.example.tool": "velvet"}
    assert [image.source for image in images.images] == ["dockerfile", "image", "archive"]
    assert [image.reference.key for image in images.images] == [
        "skyport_velvet_1.2.10",
        "skyport_muscle_3.8",
        "skyport_old_1",
    ]


def test_what_is_not_said_has_the_documented_defaults():
    images = parse_image_list(ONE)
    assert images.shock == ShockSettings("embedded", "KB_AUTH_TOKEN", public=True, public_url=None)
    assert images.images == (ImageSpec("a/b:1", dockerfile="D"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "line 1, field the file: expected a mapping, got text"),
        ("- a", "line 1, field the file: expected a mapping, got a list"),
        ("---\n", "line 2, field the file: expected a mapping, got nothing"),
        ("shock: {}\n", "line 1, field the file: the required field is missing: `images`"),
        ("images: 5\n", "line 1, field images: expected a list, got a whole number"),
        ("images: []\n", "line 1, field images: expected a list of length >= 1"),
        ("images:\n- velvet\n", "line 2, field images[0]: expected a mapping, got text"),
        ("images:\n\n- dockerfile: D\n", "line 3, field images[0]: the required field is missing: `name`"),
        ("images:\n- name: ''\n  dockerfile: D\n", "line 2, field name: expected text of length >= 1"),
        (ONE + "  pull: 'true'\n", "line 4, field pull: expected true or false, got text"),
        (ONE + "  replace: 1\n", "line 4, field replace: expected true or false, got a whole number"),
        (ONE + "  context: ''\n", "line 4, field context: expected text of length >= 1"),
        (ONE + "  context:\n    a: 1\n", "line 4, field context: expected text, got a mapping"),
        (ONE + "  labels: [a]\n", "line 4, field labels: expected a mapping, got a list"),
        (ONE + "  build_args:\n    A:\n", "line 5, field A: expected text, got nothing"),
        (ONE + "  build_args:\n    1: x\n", 'line 5, field build_args: the key `1` is no text. Quote it: "1"'),
        (ONE + "  labels: {A: b, NO: x}\n", 'line 4, field labels: the key `NO` is no text. Quote it: "NO"'),
        (ONE + "  commit:\n    env:\n      ~: x\n", 'line 6, field env: the key `~` is no text. Quote it: "~"'),
        (ONE + "  secrets: {2: {env: A}}\n", 'line 4, field secrets: the key `2` is no text. Quote it: "2"'),
        (ONE + "  1: x\n", f"line 4, field 1: unknown. Allowed here: {FIELDS}."),
        (ONE + "  secrets: {a: {env: A, on: x}}\n", "line 4, field on: unknown. Allowed here: env, file."),
        (ONE + "shock:\n  yes: x\n", f"line 5, field yes: unknown. Allowed here: {OF_SHOCK}."),
        (ONE + "1: x\n", "line 4, field 1: unknown. Allowed here: images, shock."),
        (ONE + "shock: embedded\n", "line 4, field shock: expected a mapping, got text"),
        (ONE + "shock: {url: ''}\n", "line 4, field url: expected text of length >= 1"),
    ],
)
def test_wrong_types_and_missing_fields(text, message):
    assert problem(text) == f"images.yaml, {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "images:\n- name: 1.10\n  dockerfile: D\n",
            'line 2, field name: expected text, got a number. Quote it: "1.10"',
        ),
        (ONE + "  build_args:\n    V: 1.10\n", 'line 5, field V: expected text, got a number. Quote it: "1.10"'),
        (ONE + "  build_args: {V: 010}\n", 'line 4, field V: expected text, got a whole number. Quote it: "010"'),
        (ONE + "  build_args: {V: yes}\n", 'line 4, field V: expected text, got true or false. Quote it: "yes"'),
        (
            ONE + "  build_args: {V.x: 1e3, W.x: .nan}\n",
            'line 4, field x: expected text, got a number. Quote it: ".nan"',
        ),
        (ONE + "  labels: {day: 2024-02-03}\n", 'line 4, field day: expected text, got `date`. Quote it: "2024-02-03"'),
        (ONE + "  description: 5\n", 'line 4, field description: expected text, got a whole number. Quote it: "5"'),
    ],
)
def test_a_number_where_text_is_needed_says_how_to_quote_it(text, message):
    assert problem(text) == f"images.yaml, {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ONE + "  dockefile: x\n",
            "line 4, field dockefile: unknown; did you mean `dockerfile`?",
        ),
        (ONE + "  zzz: x\n", f"line 4, field zzz: unknown. Allowed here: {FIELDS}."),
        (ONE + "imagse: []\n", "line 4, field imagse: unknown; did you mean `images`?"),
        (
            ONE + "shock:\n  token: x\n",
            "line 5, field token: unknown; did you mean `token_env`?",
        ),
        (
            "images:\n- name: a/b:1\n  snapshot: {base: x, scrpt: y}\n",
            "line 3, field scrpt: unknown; did you mean `script`?",
        ),
    ],
)
def test_unknown_fields_come_with_a_suggestion_or_what_is_allowed(text, message):
    assert problem(text) == f"images.yaml, {message}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", f"line 2, image a/b:1: says nothing of where it comes from. Give exactly one of {SOURCES}."),
        ("  context: .\n", f"line 2, image a/b:1: says nothing of where it comes from. Give exactly one of {SOURCES}."),
        (
            "  archive: x\n  dockerfile: D\n",
            f"line 2, image a/b:1: has dockerfile and archive. Give exactly one of {SOURCES}.",
        ),
        (
            "  image: x\n  container: D\n  archive: y\n",
            f"line 2, image a/b:1: has container and image and archive. Give exactly one of {SOURCES}.",
        ),
        (
            "  image: x\n  target: y\n",
            "line 4, field target: only an image with a `dockerfile` is built, a/b:1 has `image`. Remove the field.",
        ),
        (
            "  archive: x\n  build_args: {A: b}\n",
            "line 4, field build_args: only an image with a `dockerfile` is built, a/b:1 has `archive`. "
            "Remove the field.",
        ),
        (
            "  dockerfile: D\n  commit: {author: A}\n",
            "line 4, field commit: only a container is committed, a/b:1 has `dockerfile`. Remove the field.",
        ),
        (
            "  snapshot: {base: x, script: y}\n  pull: true\n",
            "line 4, field pull: only an image with a `dockerfile` is built, a/b:1 has `snapshot`. Remove the field.",
        ),
        (
            "  container: x\n  commit: {cmd: []}\n",
            "line 4, field commit.cmd: a commit takes none away. Write what containers are to start, or leave it out.",
        ),
        (
            "  container: x\n  commit: {env: {A B: x}}\n",
            "line 4, field commit.env: 'A B' is no name of a variable. Write one of letters, digits and _.",
        ),
        (
            '  container: x\n  commit: {env: {A: "x\\ny"}}\n',
            "line 4, field commit.env: the variable A has a line break, which no engine can set at a commit.",
        ),
        (
            "  container: x\n  commit: {workdir: /data/$RUN}\n",
            "line 4, field commit.workdir: '/data/$RUN' is no folder for a commit. Write it without line breaks "
            "and `$`.",
        ),
        ("  dockerfile: D\n  secrets: {a: {}}\n", "line 4, field secrets.a: give either `env`, a variable, or `file`"),
        (
            "  dockerfile: D\n  secrets: {a: {enf: X}}\n",
            "line 4, field enf: unknown; did you mean `env`?",
        ),
        (
            "  archive: x\n  flatten: true\n",
            "line 4, field flatten: an archive is published as it is, and a/b:1 comes from one. Remove the field.",
        ),
        (
            "  dockerfile: D\n  base: x\n",
            "line 4, field base: image name 'x': the tag is missing. Write it as REPO:TAG, such as "
            "skyport/velvet:1.2.10.",
        ),
        ("  dockerfile: D\n  base: [x]\n", "line 4, field base: expected text, got a list"),
        (
            "  dockerfile: D\n  base: b/b:1\n  flatten: true\n",
            "line 4, field base: with `flatten`, a/b:1 has one layer, and none of its base's. Remove one of the two "
            "fields.",
        ),
        (
            "  archive: x\n  base: b/b:1\n",
            "line 4, field base: an archive is published as it is, and a/b:1 comes from one. Remove the field.",
        ),
        (
            "  registry: quay.io/a:1\n  flatten: true\n",
            "line 4, field flatten: an image of a registry is published as it is, and a/b:1 comes from one. Remove the "
            "field.",
        ),
        (
            "  registry: https://quay.io/a:1\n",
            "line 3, field registry: an image in a registry is named without `://`. Write HOST/REPO:TAG or "
            "HOST/REPO@sha256:..., such as quay.io/biocontainers/velvet:1.2.10--h7132678_5.",
        ),
        (
            "  dockerfile: ftp://example.org/Dockerfile\n",
            "line 3, field dockerfile: this kind of address is not supported. Write http:// or https://, a host and a "
            "path; "
            "or the path of a file.",
        ),
    ],
)
def test_sources_and_the_fields_that_go_with_them(fields, message):
    assert problem(f"images:\n- name: a/b:1\n{fields}") == f"images.yaml, {message}"


@pytest.mark.parametrize("field", ["context", "build_args", "target", "network", "pull", "no_cache", "labels"])
def test_what_says_how_to_build_is_refused_where_nothing_is_built(field):
    value = {"build_args": "{A: b}", "labels": "{A: b}", "pull": "true", "no_cache": "true"}.get(field, "x")
    message = problem(f"images:\n- name: a/b:1\n  image: x\n  {field}: {value}\n")
    assert message.startswith(f"images.yaml, line 4, field {field}: only an image with a `dockerfile` is built")


@pytest.mark.parametrize("field", ["build_args", "labels"])
@pytest.mark.parametrize("name", ["a=b", "=", "a b", " a", "a\\n", "a\\tb", "", "a\\x00b", "a\\x7f", "a\\xa0b"])
def test_names_of_which_each_builder_makes_something_else(field, name):
    message = problem(f'images:\n- name: a/b:1\n  dockerfile: D\n  {field}: {{good: x, "{name}": c}}\n')
    assert message.startswith(f"images.yaml, line 4, field {field}: '{name}' cannot be a name here. Write one without")


@pytest.mark.parametrize("name", ["A", "org.example.lab/a-b:c", "ä", "_", "$a", "'"])
def test_other_names_are_taken(name):
    text = f'images: [{{name: "a/b:1", dockerfile: D, labels: {{"{name}": "a=b"}}, build_args: {{"{name}": "a=b"}}}}]'
    assert parse_image_list(text).images[0].labels == {name: "a=b"}


_BROKEN = "there is a line break in it, as `|` makes one. Write it behind the colon, in one line."
_NO_TEXT = "the path of a file belongs here, not its text. Save that as a file, and name it."


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("dockerfile: |\n    FROM a\n    RUN curl https://x.test | sh\n", f"field dockerfile: {_NO_TEXT}"),
        ("dockerfile: |\n    a/Dockerfile\n", f"field dockerfile: {_BROKEN}"),
        ("snapshot:\n    base: b\n    script: |\n     #!/bin/sh\n     true\n", f"field snapshot.script: {_NO_TEXT}"),
        ("snapshot:\n    script: s\n    base: >\n     b\n", f"field snapshot.base: {_BROKEN}"),
        *((f"{source}: >\n    b\n", f"field {source}: {_BROKEN}") for source in ("image", "archive", "registry")),
        ("dockerfile: D\n  target: |\n    b\n", f"field target: {_BROKEN}"),
        ("dockerfile: D\n  platform: >\n    linux/amd64\n", "field platform: expected text such as linux/amd64"),
        ("dockerfile: D\nshock:\n  auth: |\n    OAuth\n", "field auth: expected one word, such as OAuth"),
        ("dockerfile: D\nshock:\n  token_env: |\n    A\n", "field token_env: expected the name of the variable"),
    ],
)
def test_several_lines_where_a_word_or_a_path_belongs(entry, message):
    assert message in problem(f"images:\n- name: a/b:1\n  {entry}")


def test_what_another_source_is_for_may_be_said():
    (image,) = parse_image_list("images: [{name: 'a/b:1', archive: x, platform: linux/arm64}]").images
    assert image.platform == "linux/arm64"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("linux/x86_64", "linux/amd64"),
        ("Linux/X86-64", "linux/amd64"),
        ("linux/aarch64/v8", "linux/arm64/v8"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/i386", "linux/386"),
        ("linux/amd64/v1", "linux/amd64/v1"),
        ("linux/s390x", "linux/s390x"),
    ],
)
@pytest.mark.parametrize("source", ["dockerfile", "archive"])
def test_a_platform_in_dockers_other_spellings(source, written, meant):
    (image,) = parse_image_list(f"images: [{{name: 'a/b:1', {source}: x, platform: {written}}}]").images
    assert image.normalized_platform == meant


def test_an_unusable_name_is_refused_with_its_line():
    assert problem(ONE + "- dockerfile: D\n  name: Rec/x:1\n") == (
        "images.yaml, line 5, field name: image name 'Rec/x:1': the repository has upper case letters, which Docker "
        "does not allow. Write it as REPO:TAG, such as skyport/velvet:1.2.10."
    )


def test_two_images_of_one_name():
    assert problem(ONE + "- name: a/b:1\n  archive: x\n") == (
        "images.yaml, line 4, field name: 'a/b:1' stands on line 2 already"
    )


def test_two_names_that_make_one_file_name():
    assert problem(ONE + "- name: a_b:1\n  archive: x\n") == (
        "images.yaml, line 4, field name: 'a_b:1' makes the same file name 'a_b_1' as 'a/b:1', "
        "which stands on line 2 already"
    )


@pytest.mark.parametrize("name", ["docker.io/a/b:1", "index.docker.io/a/b:1"])
def test_two_spellings_of_one_name_in_an_engine(name):
    assert problem(ONE + f"- name: {name}\n  archive: x\n") == (
        f"images.yaml, line 4, field name: {name!r} is to an engine the same name as 'a/b:1', which stands on line 2 "
        "already"
    )


def test_a_name_of_docker_hubs_library_is_the_one_without_it():
    text = "images:\n- {name: 'b:1', archive: x}\n- {name: 'docker.io/library/b:1', archive: x}\n"
    assert "'docker.io/library/b:1' is to an engine the same name as 'b:1', which stands on line 2" in problem(text)


@pytest.mark.parametrize("name", ["localhost/a/b:1", "quay.io/a/b:1", "a/b:2", "library/a/b:1", "docker.io/b:1"])
def test_names_of_other_registries_are_other_names(name):
    assert len(parse_image_list(ONE + f"- name: {name}\n  archive: x\n").images) == 2


def test_names_that_only_an_anchor_repeats_are_found_too():
    text = "images:\n- &i\n  name: a/b:1\n  dockerfile: D\n- *i\n"
    assert "'a/b:1' stands on line 3 already" in problem(text)


IN_URL = "a user or password in the URL would end up in records. Put the token in a variable."
NO_URL = "not the URL of a Shock server. Write `embedded`, or http:// or https:// and a host, without parameters."


@pytest.mark.parametrize("registry", ["images.example.org", "localhost", "127.0.0.1:7445", "[::1]:5000", "hub:5000"])
def test_a_registry(registry: str) -> None:
    text = f"shock: {{registry: '{registry}'}}\nimages: [{{name: 'a/b:1', dockerfile: D}}]\n"
    assert parse_image_list(text).shock.registry == registry


@pytest.mark.parametrize(
    "registry",
    [
        *("https://images.example.org", "images.example.org/", "me:secret@x.org", "images", "a.b:", ".", "-.x"),
        *("a.b:0", "a.b:65536", "a.b:٣", "[1:2]:5000"),
    ],
)
def test_what_is_no_registry(registry: str) -> None:
    text = f"shock: {{registry: '{registry}'}}\nimages: [{{name: 'a/b:1', dockerfile: D}}]\n"
    found = problem(text)
    assert "line 1, field registry: not a registry. Write HOST or HOST:PORT alone" in found
    assert "secret" not in found


OF_PUBLIC_URL = {
    IN_URL: "everyone would see the user or password in the URL. Leave it out.",
    NO_URL: "not a URL. Write http:// or https:// and a host, without parameters.",
}


@pytest.mark.parametrize("field", ["url", "public_url"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"https://me:{SECRET}@shock.example.org", IN_URL),
        (f"https://{SECRET}@shock.example.org/", IN_URL),
        (f"me:{SECRET}@shock.example.org", IN_URL),
        (f"https:/me:{SECRET}@shock.example.org", IN_URL),
        (f"//me:{SECRET}@shock.example.org", IN_URL),
        (f"https://shock.example.org/?auth={SECRET}", NO_URL),
        (f"https://shock.example.org/#{SECRET}", NO_URL),
        (f"https://shock.example.org:{SECRET}", NO_URL),
        (SECRET, NO_URL),
        ("ftp://shock.example.org", NO_URL),
        ("http://", NO_URL),
        ("http:///node", NO_URL),
        ("http://:7445", NO_URL),
        ("http://shock.example.org:0", NO_URL),
        ("http://shock.example.org:99999", NO_URL),
        ("http://[::1", NO_URL),
        ("http://shock example.org", NO_URL),
        (r"http://shock.example.org\node", NO_URL),
        ("/var/lib/shock", NO_URL),
        ("Embedded", NO_URL),
        ("http://shock..example.org", NO_URL),
        (f"http://{'a' * 64}.example.org", NO_URL),
    ],
)
def test_a_wrong_url_is_refused_and_never_echoed(field, url, why):
    message = problem(ONE + f"shock:\n  {field}: '{url}'\n")
    assert message == f"images.yaml, line 5, field {field}: {why if field == 'url' else OF_PUBLIC_URL[why]}"
    assert SECRET not in message


def test_embedded_is_no_place_where_others_reach_a_shock():
    message = problem(ONE + "shock:\n  url: embedded\n  public_url: embedded\n")
    assert message == f"images.yaml, line 6, field public_url: {OF_PUBLIC_URL[NO_URL]}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:7445", "https://shock.example.org/api/v1/", "HTTP://[::1]:7445", "http://münchen.example"]
)
def test_urls_that_can_be_asked(url):
    assert parse_image_list(ONE + f"shock: {{url: '{url}'}}\n").shock.url == url


@pytest.mark.parametrize("token", [SECRET, "ghp-x", "123456789", "4f1c29d0", "a b", "", "[a]", "1.5"])
def test_a_token_pasted_into_token_env_is_never_echoed(token):
    message = problem(ONE + f"shock:\n  token_env: {token}\n")
    assert message == (
        "images.yaml, line 5, field token_env: expected the name of the variable that holds the token, such as "
        "KB_AUTH_TOKEN; never the token"
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_image_list(tmp_path / "images.yaml")
    assert str(caught.value) == (
        f"there is no {tmp_path}/images.yaml. `skyport-wf init` writes one, or name another with --images."
    )


def test_a_folder_and_a_file_of_bytes_are_refused(tmp_path):
    with pytest.raises(UsageError, match=f"cannot read {tmp_path}: .*Is a directory"):
        read_image_list(tmp_path)
    (tmp_path / "images.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"images\.yaml, line 1: not UTF-8. Save it as UTF-8 text\."):
        read_image_list(tmp_path / "images.yaml")


def test_a_file_that_may_not_be_read(folder_of_nobody):
    path = folder_of_nobody / "images.yaml"
    path.write_text(ONE)
    path.chmod(0)
    with pytest.raises(UsageError, match=r"cannot read .*images\.yaml: .*Permission denied"):
        read_image_list(path)


def test_a_file_is_called_by_its_path(tmp_path):
    (tmp_path / "my.yaml").write_text("images: []\n")
    with pytest.raises(UsageError) as caught:
        read_image_list(tmp_path / "my.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/my.yaml, line 1, field images: ")


def test_an_image_that_is_not_in_the_list():
    images = parse_image_list("images:\n" + "".join(f"- {{name: 'a/b:{n}', image: x}}\n" for n in range(12)))
    with pytest.raises(UsageError) as caught:
        images.find("zz/yy:9")
    names = ", ".join(f"a/b:{n}" for n in range(10))
    assert str(caught.value) == f"image 'zz/yy:9' is not in the image list. It has: {names}, and 2 more."
    with pytest.raises(UsageError, match=r"It has: a/b:11, a/b:1, a/b:10, and 9 more\."):
        images.find("a/b:111")


def test_images_by_names_and_patterns():
    images = parse_image_list(
        "images:\n" + "".join(f"- {{name: '{n}', image: x}}\n" for n in ("a/b:1", "a/c:1", "d:2"))
    )
    for words, names in (
        ([], ["a/b:1", "a/c:1", "d:2"]),
        (["d:2", "a/b:1"], ["a/b:1", "d:2"]),
        (["a/*"], ["a/b:1", "a/c:1"]),
        (["[ad]*", "d:2"], ["a/b:1", "a/c:1", "d:2"]),
    ):
        assert [image.name for image in images.choose(words)] == names
    for words, message in ((["a/b"], "image 'a/b' is not in the image list"), (["a/b:1", "x?"], "fits 'x?'")):
        with pytest.raises(UsageError) as caught:
            images.choose(words)
        assert message in str(caught.value)


NAMES = st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}:[0-9a-z]{1,6}", fullmatch=True).filter(
    lambda n: not n.endswith(":latest")
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
NAMES_OF_VALUES = TEXTS.filter(lambda text: "=" not in text and not re.search(r"\s", text))
SPECS = st.builds(
    ImageSpec,
    name=NAMES,
    dockerfile=TEXTS.filter(lambda text: "://" not in text),
    build_args=st.dictionaries(NAMES_OF_VALUES, TEXTS, max_size=3),
    labels=st.dictionaries(NAMES_OF_VALUES, TEXTS, max_size=3),
    target=st.none() | TEXTS,
    pull=st.booleans(),
    public=st.none() | st.booleans(),
    description=TEXTS,
)


@pytest.mark.slow
@given(st.lists(SPECS, min_size=1, max_size=4, unique_by=lambda image: image.name.replace("/", "_")))
def test_every_list_that_can_be_written_is_read_back(specs):
    images = ImageList(tuple(specs))
    read = parse_image_list(yaml.safe_dump(msgspec.to_builtins(images), allow_unicode=True))
    assert msgspec.structs.replace(read, written=None) == images


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates()
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=3)
    ),
)
FIELD_NAMES = st.sampled_from([*ImageSpec.__struct_fields__, *ShockSettings.__struct_fields__, "images", "shock", "x"])


@pytest.mark.slow
@given(
    st.dictionaries(FIELD_NAMES, ANYTHING | st.lists(st.dictionaries(FIELD_NAMES, ANYTHING), max_size=3), max_size=4)
)
def test_any_wrong_values_end_in_a_usage_error_with_a_line(values):
    try:
        parse_image_list(yaml.safe_dump(values), name="f")
    except UsageError as error:
        assert str(error).startswith("f")


def test_all_mistakes_are_told_at_once_with_their_lines():
    text = """\
x-common: &common {pull: true}
images:
- name: a/b:1
  dockefile: D
  pul: true
- name: Rec/x:1
  <<: *common
  dockerfile: D
- name: c/d:1
  archive: x
  build_args: {TOKEN: s3cr3t}
- dockerfile: D
- name: e/f:1
  description: [a]
  builder: x
- name: g/h:1
  snapshot: {base: x, scrpt: y}
shock: {url: ftp://x, tokn_env: A}
"""
    told = """\
images.yaml has 10 mistakes:
images.yaml, line 4, field dockefile: unknown; did you mean `dockerfile`?
     4 |   dockefile: ...
       |   ^^^^^^^^^
images.yaml, line 5, field pul: unknown; did you mean `pull`?
     5 |   pul: ...
       |   ^^^
images.yaml, line 6, field name: image name 'Rec/x:1': the repository has upper case letters, which Docker does not \
allow. Write it as REPO:TAG, such as skyport/velvet:1.2.10.
     6 | - name: ...
       |   ^^^^
images.yaml, line 11, field build_args: only an image with a `dockerfile` is built, c/d:1 has `archive`. \
Remove the field.
    11 |   build_args: ...
       |   ^^^^^^^^^^
images.yaml, line 12, field images[3]: the required field is missing: `name`
    12 | - dockerfile: ...
       |   ^^^^^^^^^^
images.yaml, line 14, field description: expected text, got a list
    14 |   description: ...
       |   ^^^^^^^^^^^
images.yaml, line 15, field builder: expected auto, classic, buildkit
    15 |   builder: ...
       |   ^^^^^^^
images.yaml, line 17, field scrpt: unknown; did you mean `script`?
    17 |   snapshot: {base: x, scrpt: ...
       |                       ^^^^^
images.yaml, line 18, field tokn_env: unknown; did you mean `token_env`?
    18 | shock: {url: ftp://x, tokn_env: ...
       |                       ^^^^^^^^
images.yaml, line 18, field url: not the URL of a Shock server. Write `embedded`, or http:// or https:// and a \
host, without parameters.
    18 | shock: {url: ...
       |         ^^^"""
    assert problems(text) == told


def test_all_mistakes_within_one_image_are_told_at_once():
    told = problems("""\
images:
- name: a/c
  dockerfile: D
  build_args:
    OK: "1"
    SAMTOOLS: 1.10
    HTS.LIB: 17
    3: x
    JAVA: [a]
  secrets:
    a: {env: 5, fiel: x}
    b: 7
  ssh: [default, 5, x, "", 6]
  snapshot: {bas: x}
  commit:
    cmd: [x, 1]
    env: {A: 1, B: "2", C: 3}
  pull: 3
- name: a/c:1
  archive: x
  replace: 1
- name: a/c:1
  archive: x
""")
    lines = [line.removeprefix("images.yaml, ") for line in told.splitlines() if line.startswith("images.yaml, ")]
    assert lines == [
        "line 2, field name: image name 'a/c': the tag is missing. Write it as REPO:TAG, such as "
        "skyport/velvet:1.2.10.",
        'line 6, field SAMTOOLS: expected text, got a number. Quote it: "1.10"',
        'line 7, field LIB: expected text, got a whole number. Quote it: "17"',
        'line 8, field build_args: the key `3` is no text. Quote it: "3"',
        "line 9, field JAVA: expected text, got a list",
        'line 11, field env: expected text, got a whole number. Quote it: "5"',
        "line 11, field fiel: unknown; did you mean `file`?",
        "line 12, field b: expected a mapping, got a whole number",
        'line 13, field ssh[1]: expected text, got a whole number. Quote it: "5"',
        "line 13, field ssh[3]: expected text of length >= 1",
        'line 13, field ssh[4]: expected text, got a whole number. Quote it: "6"',
        "line 14, field bas: unknown; did you mean `base`?",
        'line 16, field cmd[1]: expected text, got a whole number. Quote it: "1"',
        'line 17, field A: expected text, got a whole number. Quote it: "1"',
        'line 17, field C: expected text, got a whole number. Quote it: "3"',
        "line 18, field pull: expected true or false, got a whole number",
        "line 21, field replace: expected true or false, got a whole number",
        "line 22, field name: 'a/c:1' stands on line 19 already",
    ]


def test_an_entry_that_is_called_like_a_field_is_told_as_an_entry():
    told = problems(ONE + "  build_args: {platform: 1.10}\n  secrets: {builder: 7, snapshot: {enf: X}}\n")
    assert 'field platform: expected text, got a number. Quote it: "1.10"' in told
    assert "field builder: expected a mapping, got a whole number" in told
    assert "field enf: unknown; did you mean `env`?" in told


def test_of_a_set_each_item_that_is_wrong_is_told():
    told = problems(ONE + "  ssh: !!set {5, 6}\n  pull: 3\n").splitlines()
    assert told[0] == "images.yaml has 3 mistakes:"


@pytest.mark.parametrize("quoted", ["x - at `$.a.b", "x` - at `$.ssh[...]", "x - at `key` in `$.labels[3]"])
def test_words_of_the_list_are_not_taken_for_places(quoted):
    told = problems(ONE + f"  '{quoted}': 1\n  builder: '{quoted}'\n  snapshot: {{'{quoted}': 1}}\n  pull: 3\n")
    assert told.startswith("images.yaml has 4 mistakes:\n")
    assert "line 5, field builder: expected auto, classic, buildkit" in told
    assert "line 7, field pull: expected true or false" in told


def test_a_wrong_entry_among_many_is_found_soon():
    told = problems(ONE + "  labels:\n" + "".join(f"    l{n}: x\n" for n in range(9000)) + "    a: 1\n    b: 2\n")
    assert "line 9005, field a: expected text" in told
    assert "line 9006, field b: expected text" in told


def test_many_mistakes_are_told_up_to_a_number():
    told = problems("images:\n" + "".join(f"- {{name: a/b:{n}, x: 1}}\n" for n in range(500))).splitlines()
    assert (told[0], told[-1]) == ("images.yaml has 500 mistakes:", "... and 480 more")
    assert len(told) == 2 + 20 * 3


def test_what_is_written_once_and_used_twice():
    text = "x-args: &args {A: b}\nimages:\n- {name: a/b:1, dockerfile: D, build_args: *args}\n"
    assert parse_image_list(text).images[0].build_args == {"A": "b"}
    assert "field x-y: unknown" in problem(ONE + "  x-y: 1\n")


def test_mistakes_in_what_is_merged_are_told_once_where_they_stand():
    text = """\
x-args: &args
  VERSION: 1.10
  NO: x
x-image: &image
  publik: false
images:
- {name: "a/b:1", dockerfile: D, <<: *image, build_args: {<<: *args, OTHER: x}}
- {name: "a/b:2", dockerfile: D, <<: *image, build_args: {<<: *args, OTHER: x, VERSION: "1"}}
- {name: "a/b:3", dockerfile: D, build_args: *args}
"""
    told = [line for line in problems(text).splitlines() if line.startswith("images.yaml, ")]
    assert told == [
        'images.yaml, line 2, field VERSION: expected text, got a number. Quote it: "1.10"',
        'images.yaml, line 3, field build_args: the key `NO` is no text. Quote it: "NO"',
        "images.yaml, line 5, field publik: unknown; did you mean `public`?",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ONE + "  pull: 5\n", "     4 |   pull: ...\n       |   ^^^^"),
        (ONE + "\u202e: 5\n", "     4 |  : ...\n       | ^"),
        ("x" * 300, "     1 | " + "x" * 100 + " ...\n       | " + "^" * 100),
        ("a:\n" + " " * 300 + "b: 1\n" + ONE + "c: 1\n", "     6 | c: ...\n       | ^"),
        (ONE + "shock: {token_env: 's3cr3t!'}\n", "     4 | shock: {token_env: ...\n       |         ^^^^^^^^^"),
        (ONE + "shock: {auth: '日本', 語x: 1}\n", "語x: ...\n       |" + " " * 23 + "^^^"),
        (ONE + "shock: {auth: 'e\u0301', o\u0308x: 1}\nz: 1\n", "o\u0308x: ...\n       |" + " " * 20 + "^^\n"),
    ],
)
def test_a_line_is_shown_up_to_the_mistake(text, shown):
    assert shown in problems(text)


def test_a_byte_order_mark_moves_nothing_in_the_shown_line():
    with pytest.raises(UsageError) as caught:
        parse_image_list("\ufeffimags: []\n")
    assert str(caught.value).splitlines()[1:] == ["     1 | imags: ...", "       | ^^^^^"]


@pytest.mark.parametrize(
    ("base", "read"),
    [
        ("docker.io/lab/base:1", "lab/base:1"),
        ("index.docker.io/lab/base:1", "lab/base:1"),
        ("lab/base:1", "lab/base:1"),
        ("tool:1", "docker.io/library/tool:1"),
        ("docker.io/lab/other:1", "docker.io/lab/other:1"),
    ],
)
def test_the_base_of_a_thin_image_has_the_lists_own_name_for_it(base: str, read: str) -> None:
    """On Shock, other spellings would be other names."""
    listed = "".join(f"- {{name: '{name}', dockerfile: D}}\n" for name in ("lab/base:1", "docker.io/library/tool:1"))
    images = parse_image_list(f"images:\n{listed}- {{name: 'lab/thin:1', dockerfile: D, base: '{base}'}}\n")
    assert images.images[-1].base == read
