import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image_list.addresses import FileAddress, GitAddress, find_wrong_address, parse_address, parse_inner_path
from skyport_wf.image_list.images_yaml import parse_image_list

GIT = "https://example.org/lab/tools.git"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SECRET = "s3cr3t"
NO_ADDRESS = "not an address. Write http:// or https://, a host and a path; or the path of a file"
KIND = "this kind of address is not supported"
SSH = "git over ssh is not supported"
IN_RECORDS = "in the address would end up in records. Give an address that needs none"


@pytest.mark.parametrize(
    "path", ["Dockerfile", "a/b.git", "github.com/lab/tools", "a#b", "a@b:c", "C:\\x", "git@home/x"]
)
def test_a_path_is_no_address(path):
    assert parse_address(path) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/bowtie2/Dockerfile",
        "http://127.0.0.1:8000/Dockerfile",
        "HTTPS://[::1]:8000/Dockerfile",
        "https://example.org/plain/Dockerfile?h=main&raw=1",
        "https://example.org/@lab/Dockerfile",
        "https://example.org/tools.git/plain/Dockerfile",
        "https://münchen.example/Dockerfile",
    ],
)
def test_a_file_on_a_server(url):
    assert parse_address(url) == FileAddress(url)


@pytest.mark.parametrize(
    ("fragment", "ref", "folder"),
    [
        ("", None, ""),
        ("#", None, ""),
        ("#main", "main", ""),
        ("#:images/velvet", None, "images/velvet"),
        ("#v1.2:./images//velvet/", "v1.2", "images/velvet"),
        ("#feature/new-thing:/images", "feature/new-thing", "images"),
        ("#refs/pull/12/head:.", "refs/pull/12/head", ""),
        (f"#{COMMIT}:a:b", COMMIT, "a:b"),
    ],
)
def test_a_git_address(fragment, ref, folder):
    assert parse_address(GIT + fragment) == GitAddress(GIT, ref, folder)


@pytest.mark.parametrize(
    ("ref", "commit"),
    [
        (COMMIT, COMMIT),
        (COMMIT.upper(), COMMIT),
        (COMMIT + "0" * 24, COMMIT + "0" * 24),
        (COMMIT[:39], None),
        (COMMIT + "0", None),
        ("main", None),
        (None, None),
    ],
)
def test_only_all_digits_make_a_commit(ref, commit):
    assert GitAddress(GIT, ref).commit == commit


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch x", "--upload-pack=x", "-b", "a b", "a\tb", "a..b", "a~1", "a^", "a^{tree}", "a*", "a?",
        "a[b]", "a\\b", "a@{1}", "@", "/a", "a/", "a//b", "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a\x7f",
    ],
)  # fmt: skip
def test_what_git_takes_for_no_name_is_refused(ref):
    with pytest.raises(UsageError, match="cannot be the name of a commit, branch or tag"):
        parse_address(f"{GIT}#{ref}:folder")


@pytest.mark.parametrize("folder", ["..", "a/../../b", "/..", "a/..", "a\x00b", "a\nb"])
def test_a_folder_stays_in_the_repository(folder):
    with pytest.raises(UsageError, match="is no path inside the repository"):
        parse_address(f"{GIT}#main:{folder}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://example.org/Dockerfile", f"{KIND}. Write http:// or https://, a host and"),
        ("file:///etc/passwd", KIND),
        ("git://example.org/tools.git", KIND),
        ("ext::sh://x", KIND),
        ("git@example.org:lab/tools.git#main", f"{SSH}. Write http:// or https://; git's"),
        ("ssh://git@example.org/lab/tools.git", SSH),
        ("https://", NO_ADDRESS),
        ("https://example.org", NO_ADDRESS),
        ("https://example.org/", NO_ADDRESS),
        ("https:///Dockerfile", NO_ADDRESS),
        ("https://example.org:0/x", NO_ADDRESS),
        ("https://example..org/x", NO_ADDRESS),
        (f"https://{'a' * 64}.org/x", NO_ADDRESS),
        (f"https://{'a.' * 127}org/x", NO_ADDRESS),
        ("https://example.org:99999/x", NO_ADDRESS),
        ("https://[::1/x", NO_ADDRESS),
        ("https://example.org/a b", NO_ADDRESS),
        ("https://example.org\\x", NO_ADDRESS),
        ("https://example.org/x\x1b[31m", NO_ADDRESS),
        ("https://example.org/Dockerfile#main", "a `#` belongs behind the address of a git repository"),
        ("https://example.org/tools.git/#main", "a `#` belongs behind the address of a git repository"),
        (f"{GIT}?ref=main", "parameters in the address of a git repository are not supported. Write URL#REF:FOLDER"),
        (f"https://anna:{SECRET}@example.org/Dockerfile", f"a user or password {IN_RECORDS}"),
        (f"https://{SECRET}@example.org/tools.git#main", f"a user or password {IN_RECORDS}"),
        (f"https://anna:{SECRET}/@example.org/x", NO_ADDRESS),
        (f"https://example.org/Dockerfile?token={SECRET}", f"a token {IN_RECORDS}"),
        (f"https://example.org/Dockerfile?raw=1&X-Amz-Signature={SECRET}", f"a token {IN_RECORDS}"),
        (f"https://example.org/Dockerfile?private_token={SECRET}", f"a token {IN_RECORDS}"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_used(text, message):
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("dockerfile", "context", "field", "message"),
    [
        ("Dockerfile", "https://example.org/x.tar.gz", "context", "a context is a folder, or a git repository"),
        (f"{GIT}#main", "images", "context", "the repository is the context already"),
        (f"{GIT}#main", f"{GIT}#main", "context", "the repository is the context already"),
        ("../Dockerfile", GIT, "dockerfile", "'../Dockerfile' is no path inside the repository."),
        ("ftp://x/y", None, "dockerfile", "this kind of address is not supported"),
        ("Dockerfile", f"{GIT}#..", "context", "'..' cannot be the name of a commit, branch or tag."),
    ],
)
def test_addresses_that_do_not_go_together(dockerfile, context, field, message):
    wrong = find_wrong_address(dockerfile, context)
    assert wrong is not None
    assert wrong[0] == field
    assert wrong[1].startswith(message)


@pytest.mark.parametrize(
    ("dockerfile", "context"),
    [
        ("https://example.org/Dockerfile", None),
        ("https://example.org/Dockerfile", "../data"),
        ("https://example.org/Dockerfile", f"{GIT}#main"),
        ("some/Dockerfile", f"{GIT}#main:folder"),
        (f"{GIT}#main:folder", None),
        ("../Dockerfile", "../.."),
        (None, None),
    ],
)
def test_addresses_that_go_together(dockerfile, context):
    assert find_wrong_address(dockerfile, context) is None


def test_paths_inside_are_tidied():
    assert parse_inner_path("./a//b/") == "a/b"
    assert parse_inner_path(".") == ""


def test_in_yaml_a_fragment_needs_no_quotes_but_a_space_before_it_makes_a_comment():
    text = "images:\n- name: a/b:1\n  dockerfile: {}\n"
    assert parse_image_list(text.format(f"{GIT}#main:folder")).images[0].dockerfile == f"{GIT}#main:folder"
    assert parse_image_list(text.format(f"{GIT} #main:folder")).images[0].dockerfile == GIT


def test_a_list_with_a_secret_in_an_address_is_refused_without_showing_it():
    with pytest.raises(UsageError) as caught:
        parse_image_list(f"images:\n- name: a/b:1\n  dockerfile: https://anna:{SECRET}@example.org/Dockerfile\n")
    sentence, line, _ = str(caught.value).splitlines()
    assert sentence == f"images.yaml, line 3, field dockerfile: a user or password {IN_RECORDS}."
    assert line == "     3 |   dockerfile: ..."
