"""Layers in few words, to try on readers and on engines.

Each word is an entry: `a` a file, `a/` a folder, `a>b` a symbolic link to b, `a=b` a hard link to b, `a!` a named pipe.
Whiteouts are files by their names: `.wh.a`, `a/.wh..wh..opq`.
"""

import tarfile
from collections.abc import Sequence

from tests.support.docker_archives import File, file_member, member, tar_of


def entry(word: str) -> File:
    if word.endswith("!"):
        return member(word[:-1], tarfile.FIFOTYPE)
    if ">" in word:
        name, _, target = word.partition(">")
        return member(name, tarfile.SYMTYPE, target=target)
    if "=" in word:
        name, _, target = word.partition("=")
        return member(name, tarfile.LNKTYPE, target=target)
    if word.endswith("/"):
        return member(word, tarfile.DIRTYPE)
    whiteout = word.rpartition("/")[2].startswith(".wh.")
    return file_member(word, b"" if whiteout else b"x")


def layer(words: str | Sequence[str]) -> bytes:
    return tar_of(map(entry, words.split() if isinstance(words, str) else words), tar_format=tarfile.GNU_FORMAT)
