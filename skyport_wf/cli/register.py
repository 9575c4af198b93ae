"""`skyport-wf register upload.json`."""

import argparse

from skyport_wf.cli.arguments import add_record, fill_key, input_file, output_file
from skyport_wf.cli.outcome import Outcome

EXAMPLES = ("skyport-wf register upload.json --record receipt.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("upload", type=input_file, metavar="UPLOAD", help="the upload record")
    add_record(parser, "the receipt")
    parser.add_argument("--lock", type=output_file, metavar="FILE", help="put the image into this lock file, too")


def run(args: argparse.Namespace) -> Outcome:
    """Publish the upload and write its receipt."""
    import msgspec

    from skyport_wf.image_list.urls import one_spelling
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.publication.settings import DEFAULT_PUBLIC_URL
    from skyport_wf.records.files import check_receipt_files, read_record, update_lock, write_record
    from skyport_wf.records.records import UploadRecord
    from skyport_wf.steps.register import register

    record = read_record(args.upload, UploadRecord)
    # Versions before wrote it as it was given.
    record = msgspec.structs.replace(record, url=one_spelling(record.url))
    check_receipt_files([fill_key(args.record, record.build.reference)], args.lock, [record.build.name])
    with open_shock(record.build.shock) as shock:
        receipt = register(record, shock)
    write_record(fill_key(args.record, record.build.reference), receipt)
    if args.lock:
        update_lock(args.lock, [receipt])
    served = " (once `skyport-wf serve` runs)" if receipt.download_url.startswith(DEFAULT_PUBLIC_URL) else ""
    text = f"{receipt.name} is published, readable by {receipt.readable_by}: {receipt.download_url}{served}"
    return Outcome(receipt, text)
