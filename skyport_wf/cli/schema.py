"""`skyport-wf schema`."""

import argparse

from skyport_wf.cli.outcome import Outcome

EXAMPLES = ("skyport-wf schema >images.schema.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments: there are none but those of all verbs."""


def run(args: argparse.Namespace) -> Outcome:
    """Print the schema, the same with `--json` and without."""
    del args
    from skyport_wf.image_list.schema import make_schema
    from skyport_wf.records.encoding import encode_json

    schema = make_schema()
    return Outcome(schema, encode_json(schema).decode().rstrip())
