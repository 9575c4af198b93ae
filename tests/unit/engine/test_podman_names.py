"""What an image is called in podman, and what in records."""

import pytest

from skyport_wf.engine.podman import plain_name


@pytest.mark.parametrize(
    ("podmans", "plain"),
    [
        ("localhost/lab/tool:1", "lab/tool:1"),
        ("docker.io/lab/tool:1", "lab/tool:1"),
        ("docker.io/library/debian:bookworm", "debian:bookworm"),
        ("quay.io/lab/tool:1", "quay.io/lab/tool:1"),
        ("lab/tool:1", "lab/tool:1"),
        ("localhosts/tool:1", "localhosts/tool:1"),
    ],
)
def test_the_registry_that_podman_puts_before_a_name_is_in_no_record(podmans: str, plain: str) -> None:
    assert plain_name(podmans) == plain
