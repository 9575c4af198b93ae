"""What lint finds where something is downloaded, and what it leaves alone."""

import pytest

from tests.support.dockerfile_lint import COMMIT, DIGEST, PINNED, lint, told, told_of_run


@pytest.mark.parametrize(
    "command",
    [
        "curl -fsSL https://x.test/install.sh | sh",
        "curl https://x.test/i | sudo -E bash -",
        "wget -qO- https://x.test/i | bash -s -- --yes",
        "curl https://x.test/i | tee log | sh",
        "curl https://x.test/i | bash -eux",
        "curl https://x.test/i | env A=b sh",
        "curl https://x.test/i | /usr/bin/python3 -",
        "curl https://x.test/i | perl",
        "bash <(curl -s https://x.test/i)",
        "bash < <(curl -s https://x.test/i)",
        'sh -c "$(curl -fsSL https://x.test/i)"',
        'eval "$(wget -O- https://x.test/i)"',
        ". <(curl https://x.test/i)",
        "bash -c 'curl https://x.test/i | sh'",
        "cd /tmp && (curl https://x.test/i) | cat; curl https://x.test/j | sh",
        'curl https://x.test/i | N="$(nproc)" sh',
        "curl https://x.test/i | bash /dev/stdin",
        'N=$(nproc) bash -eo pipefail -c "$(curl https://x.test/i)" script --yes',
        'bash <<< "$(curl https://x.test/i)"',
        'source /dev/stdin <<< "$(curl https://x.test/i)"',
        '<<< "$(curl https://x.test/i)" bash -s -- --yes',
        "python3 - --yes < <(curl https://x.test/i)",
        'python3 -W ignore -c "$(curl https://x.test/i)"',
        'perl -e "$(curl https://x.test/i)" x',
        'eval "X=$(curl https://x.test/i)"',
        'eval export "$(curl https://x.test/i)"',
        '"${SHELL}" <(curl -L x.test/install.sh)',
        "curl https://x.test/i | $SHELL",
        "$SHELL -c 'curl https://x.test/i | sh'",
        "curl https://x.test/i.R | R --no-save",
        "curl https://x.test/i.R | R -q --vanilla --args x",
        "R --no-save < <(curl https://x.test/i.R)",
        'R --slave -e "$(curl https://x.test/i.R)"',
        "curl https://x.test/installer | php -- --install-dir=/usr/bin",
        "curl https://x.test/i | julia",
    ],
)
def test_scripts_from_the_network(command):
    assert told_of_run(command) == {"SKY031"}
    assert "SKY031" not in told_of_run(command.replace("curl", "cat").replace("wget", "cat"))


@pytest.mark.parametrize(
    "command",
    [
        "curl https://x.test/a.tar.gz | tar xz",
        "curl https://x.test/a | bash script.sh",
        "curl https://x.test/a | python3 parse.py",
        "curl https://x.test/a | python3 -c 'import sys'",
        "curl https://x.test/a | perl -ne print",
        "curl https://x.test/a | R -q -e 'readLines(\"stdin\")'",
        "curl https://x.test/a | R --vanilla --file=parse.R",
        "curl https://x.test/a | R CMD INSTALL x",
        "curl https://x.test/a | php -r 'print(1);'",
        "curl https://x.test/a | $SHELL script.sh",
        "curl https://x.test/a || sh other.sh",
        "curl https://x.test/a >x; sh",
        "echo 'curl https://x.test/a | sh'",
        "curl https://x.test/a | sh -c cat",
        "sh -c ls",
        "V=$(curl https://x.test/a | jq -r .tag_name) && echo $V",
        "V=`curl https://x.test/a`",
        'bash install.sh --version "$(curl https://x.test/a)"',
        'bash -s "$(curl https://x.test/a)" <install.sh',
        "bash install.sh < <(curl https://x.test/a)",
        "sh -c 'echo $0' \"$(curl https://x.test/a)\"",
        'sh -c cat <<< "$(curl https://x.test/a)"',
        'python setup.py --version="$(curl https://x.test/a)"',
        'python -m build "$(curl https://x.test/a)"',
        'perl -ne print <<< "$(curl https://x.test/a)"',
        '. ./activate "$(curl https://x.test/a)"',
        'cat >"$(curl https://x.test/a)"',
    ],
)
def test_what_is_downloaded_but_not_run(command):
    assert "SKY031" not in told_of_run(command)


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("wget https://x.test/a.tar.gz", {"SKY033"}),
        ("curl -O https://x.test/a.tar.gz && tar xf a.tar.gz", {"SKY033"}),
        ("wget https://x.test/a && echo '12  a' | sha256sum --check -", set()),
        ("curl -O https://x.test/a && gpg --verify a.sig a", set()),
        ("curl -O https://x.test/a && gpg2 --verify a.sig a", set()),
        ("curl -O https://x.test/a && gpgv2 a.sig a", set()),
        ("aria2c --checksum=sha-256=12 https://x.test/a", set()),
        ("aria2c -o b --checksum sha-256=12 https://x.test/a", set()),
        ("aria2c https://x.test/a", {"SKY033"}),
        ("aria2c --checksum=sha-256=12 https://x.test/a && wget https://x.test/b", {"SKY033"}),
        ("curl --checksum=12 https://x.test/a", {"SKY033"}),
        ("curl -O https://x.test/a && test \"$(sha256sum <a)\" = x", set()),
        ('N="$(nproc)" curl -O https://x.test/a', {"SKY033"}),
        ("curl --version", set()),
        ("wget -qO x.d/a x.test/a.tar.gz", {"SKY033"}),
        ("curl -fsSLo a x.y.test:8080/$V/a", {"SKY033"}),
        ("curl --retry 3 --url x.test/a", {"SKY033"}),
        ("wget -nv -P x.d/a --header=x.d/b --post-file x.d/c $URL", set()),
        ("curl -so x.d/a -T x.d/b --config x.d/c $URL", set()),
        ("wget ../x.d/a /x.d/b x.d $HOST.test/a 127.0.0.1/a localhost/a", set()),
        ("aria2c x.d/a && cp x.test/a b", set()),
        ("curl -f http://localhost", set()),
        ("curl -I https://x.test/a; curl -fsSIo /dev/null https://x.test/a; curl --head https://x.test/a", set()),
        ("wget -q --spider https://x.test/a", set()),
        ("curl -I https://x.test/a && curl -O https://x.test/a", {"SKY033"}),
        ("curl http://localhost:8080/health; wget -qO- HTTP://127.0.0.1/a; curl -g http://me:x@[::1]:80/a", set()),
        ("curl http://localhost/ https://x.test/a", {"SKY033"}),
        ("curl http://localhost.x.test/a", {"SKY033"}),
    ],
)  # fmt: skip
def test_downloads_that_nothing_checks(command, codes):
    assert told_of_run(command) == codes


@pytest.mark.parametrize(
    "command",
    [
        "sha256sum -c a.sha256",
        'sha512sum --status -c - <<<"$S  a"',
        "echo '12  a' | shasum -a 256 -sc",
        "echo '12  a' | busybox sha256sum -c",
        "cat sums | xargs -n 1 md5sum --check",
        "rhash -c a.sfv",
        "sha256sum a | grep ^12",
        "sha256sum <a | cut -c 1-64 | diff - b",
        "(cd /x && sha256sum a) | grep 12",
        "sh -c 'cd /x && sha256sum a' | grep 12",
        "for f in a b; do sha256sum $f; done | diff - sums",
        "{ sha256sum a; } >sums && diff sums other",
        "sha256sum a >sums && cmp sums other",
        "[ \"$(sha256sum a | cut -d' ' -f1)\" = 12 ]",
        "[ `(sha256sum a)` = 12 ]",
        "S=$(sha256sum a) && test x$S = x12",
        "diff <(sha256sum a) sums",
        "openssl dgst -sha256 a | grep 12",
        "[ $(openssl sha256 a) = 12 ]",
        "openssl dgst -sha256 -verify key.pem -signature a.sig a",
        "openssl smime -verify -in a",
        "openssl verify -CAfile ca.pem a.pem",
        "gpg --batch --homedir /k --verify a.sig a",
        "gpg --batch -qd a.gpg",
        "gpg --decrypt a.gpg >a",
        "gpgv --keyring k a.sig a",
        "gpg --show-keys --with-colons a | grep 12",
        "cosign verify-blob --key k --signature s a",
        "minisign -Vm a -P k",
    ],
)
def test_what_checks_a_download(command):
    assert told_of_run(f"curl -fO https://x.test/a && {command}") == set()


@pytest.mark.parametrize(
    "command",
    [
        "sha256sum a",
        "sha256sum --tag a 1>/dev/stderr",
        "shasum -a 256 a",
        "tar tf a | wc -l; sha256sum a",
        "openssl version",
        "openssl rand -hex 8 >x",
        "openssl dgst -sha256 a",
        "gpg --dearmor -o k <a",
        "gpg --dearmor <a | tee k",
        "cat a | gpg --import",
        "gpg --show-keys a",
        "apt-key add a",
        "cosign version",
        "minisign -Sm a",
    ],
)
def test_what_checks_no_download(command):
    assert told_of_run(f"curl -fO https://x.test/a && {command}") == {"SKY033"}


@pytest.mark.parametrize(
    ("declared", "command", "address"),
    [
        ("ENV U=https://x.test/a", "curl -o /a $U", "https://x.test/a"),
        ("ARG BASE=https://x.test/b", 'wget "${BASE}/$V/a"', "https://x.test/b/$V/a"),
        ("ARG V=1 HOST=x.test", "wget $HOST/a-${V%.*}", "x.test/a-1"),
        ("ENV U='http://localhost/a https://x.test/a'", "wget $U", "https://x.test/a"),
        ("ENV U=http://localhost/a", "wget $U", None),
        ("ARG U", "wget $U ${U:-$W}", None),
    ],
)
def test_downloads_from_an_address_in_a_variable(declared, command, address):
    found = [one.message for one in lint(f"{PINNED}{declared}\nRUN {command}\n") if one.code == "SKY033"]
    why = f"nothing checks what `{address}` gives: it can be another file at each build"
    assert found == ([why] if address else [])


@pytest.mark.parametrize(
    ("add", "codes"),
    [
        ("ADD https://x.test/a.tar.gz /a/", ["2 SKY032"]),
        ('ADD ["https://x.test/a.tar.gz", "/a/"]', ["2 SKY032"]),
        ("ADD --chown=1:1 https://x.test/a https://x.test/b /a/", ["2 SKY032", "2 SKY032"]),
        (f"ADD --checksum={DIGEST} https://x.test/a /a/", []),
        ("ADD a.tar.gz b /a/", []),
        ("COPY a https://x.test/ /", []),
        ("ONBUILD ADD https://x.test/a /a/", ["2 SKY032"]),
        ("ADD https://x.test/a.git /a", ["2 SKY021"]),
        ("ADD git@x.test:a/b.git /a", ["2 SKY021"]),
        ("ADD https://x.test/a.git#main:sub /a", ["2 SKY022"]),
        (f"ADD https://x.test/a.git#{COMMIT} /a", []),
        (f"ADD https://x.test/a.git#{COMMIT}:sub /a", []),
        (f"ADD https://x.test/a.git?ref=v1&commit={COMMIT} /a", []),
        (f"ADD --checksum={COMMIT} https://x.test/a.git#v1 /a", []),
        ("ADD", []),
        ("ADD [broken", []),
    ],
)
def test_add(add, codes):
    assert told(f"{PINNED}{add}\n") == codes


def test_add_of_a_variable_address():
    assert told(f"{PINNED}ARG V=1\nADD https://x.test/$V/a /a\n") == ["3 SKY032"]
    (found,) = lint(f"{PINNED}ARG V=1\nADD https://x.test/$V/a /a\n")
    assert found.instead == "`ADD --checksum=sha256:DIGEST https://x.test/1/a ...`, which needs BuildKit"
