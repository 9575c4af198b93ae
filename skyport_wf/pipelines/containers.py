"""The address at which a registry has an image of a lock file; nobody is asked for it."""

from functools import lru_cache
from pathlib import Path

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.place import LOCK_NAME
from skyport_wf.image_list.reference import is_docker_name, parse_reference, pull_name
from skyport_wf.pipelines.mistakes import suggest
from skyport_wf.pipelines.opening import check_listed, find_rules_of
from skyport_wf.publication.settings import registry_of
from skyport_wf.records.files import read_record
from skyport_wf.records.receipt import LockedImage, LockFile


def find_address(name: str, results: str, *, required: bool) -> str | None:
    """Return `docker://` and what pulls the image called `name`; None if the lock file names no registry.

    results: the pathvar of the rules that have the image.
    required: whether the address is asked for. If not, it is None, too, where the rules here publish the image: until
        they have, the lock file knows an older one, or none.
    Raises UsageError if an address that is asked for is unknown, or if a lock file that has addresses lacks the image.
    """
    parse_reference(name)
    check_listed(name, results)
    listed = find_rules_of(name, results)
    if listed and listed.builds and not required:
        return None
    lock = listed.lock.path if listed else LOCK_NAME
    entries = _read_entries(Path(lock))
    entry = entries.get(name)
    registry = registry_of() or (entry.registry if entry else "") or ""
    if entry and registry:
        digest = "" if entry.manifest_digest is msgspec.UNSET else entry.manifest_digest
        address = pull_name(registry, name, digest)
        # Snakemake puts it into a shell command, and anyone may have edited the file.
        if not is_docker_name(address):
            raise UsageError(f"{lock} has no address of {name} that makes sense. Take the lock file anew.")
        return f"docker://{address}"
    # Where other images have addresses, and no rules are known, nothing makes a file of this one.
    wanted = required or (listed is None and any(registry_of() or other.registry for other in entries.values()))
    if entry is None and wanted:
        raise UsageError(
            f"{lock} does not have {name}. {suggest(name, [*entries])}Publish it, or take the lock file anew. If rules "
            "of this workflow publish it, they have to come before."
        )
    if not required:
        return None
    raise UsageError(
        f"{lock} names no registry that has {name}. Set SKYPORT_REGISTRY, or `shock.registry` in the image list that "
        "the lock file is of, and publish again."
    )


def _read_entries(lock: Path) -> dict[str, LockedImage]:
    try:
        state = lock.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {lock}: {error.strerror}") from error
    return _read_lock(lock, state.st_mtime_ns, state.st_size).images


@lru_cache(maxsize=4)
def _read_lock(lock: Path, changed: int, size: int) -> LockFile:
    """Read a lock file once for all rules of a workflow. changed, size: of the file, so that a new one is read anew."""
    return read_record(lock, LockFile)
