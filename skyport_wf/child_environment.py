"""The environment of the programs that are started: docker, git, hadolint. None of them needs a Shock token."""

import os

_hidden = {"KB_AUTH_TOKEN"}
"""Variables with a token; an image list may name another one."""


def hide_from_children(variable: str) -> None:
    """Leave a variable out of the environment of all programs that this process starts from now on."""
    _hidden.add(variable)


def hidden_variables() -> frozenset[str]:
    """Return the variables that no program gets."""
    return frozenset(_hidden)


def child_environment(*needed: str) -> dict[str, str]:
    """Return this process's variables without those that hold a token.

    needed: variables that the user himself gives to the program, whatever they hold.
    """
    return {name: value for name, value in os.environ.items() if name in needed or name not in _hidden}
