"""cwltool on many documents in one process, as starting it takes longer than a document does.

`python -m tests.support.cwl_validation FOLDER DOCUMENT...` packs each document into the folder, and prints as JSON what
`cwltool --validate` says of each, as it is and packed.
"""

import io
import json
import sys
from pathlib import Path

from cwltool.main import main as cwltool


def call(*arguments: str) -> tuple[int, str, str]:
    """Return cwltool's exit code, and what it prints on stdout and stderr."""
    out, log = io.StringIO(), io.StringIO()
    code = cwltool(["--enable-ext", *arguments], stdout=out, stderr=log)
    return code, out.getvalue(), log.getvalue()


def main(folder: Path, documents: list[str]) -> None:
    said = {}
    for document in documents:
        packed = folder / f"{Path(document).name}.json"
        packed.write_text(call("--pack", document)[1])
        for path in (document, str(packed)):
            # Where it validates, it writes its log to stdout.
            code, *log = call("--validate", path)
            said[path] = {"code": code, "log": "".join(log)}
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
