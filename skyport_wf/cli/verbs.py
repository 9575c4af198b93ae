"""The verbs of the command line, in groups by what people do. Each is a module of this folder."""

GROUPS = {
    "Begin": {
        "init": "write an image list to start from",
        "doctor": "check engine, Shock, token and disk space",
        "schema": "print the JSON Schema of the image list, for editors",
        "completion": "let the tab key complete verbs, options and image names",
        "lint": "find what hurts in Dockerfiles, and what AWE rejects in CWL",
    },
    "Publish": {
        "status": "what is published, and what would be done",
        "publish": "all four steps as one stream",
        "verify": "compare Shock with the lock file",
        "reproduce": "build a published image again, and say what differs",
    },
    "Use what is published": {
        "ls": "list the images that a Shock has",
        "du": "say how much space images take, and what can be deleted",
        "find": "find the images that have a package, such as openssl before 3",
        "resolve": "which node an AWE worker gets for a name",
        "receipt": "the receipt of an image that others published, pushed or copied",
        "diff": "say in which packages, files and metadata two images differ",
        "files": "list the files in an image, or take some out",
        "show": "say what is in an image: layers, waste, packages",
        "catalogue": "write pages of what is published, for browsers",
        "pull": "load a published image into the engine, or write it to a file",
        "run": "run a command in a published image",
        "copy": "publish an image on another Shock too",
        "tag": "publish an image under another name, too",
        "retire": "take the name off a published image",
        "delete": "delete retired images for good, and published ones by age",
        "adopt": "mend an image that docker2shock.pl published",
    },
    "Steps, as workflow engines call them": {
        "plan": "what there is to build, for workflow engines",
        "build": "step 1: build an image, or find that it is published",
        "save": "step 2: write the image to a canonical archive",
        "upload": "step 3: send the archive to Shock, hidden",
        "register": "step 4: publish the upload under its name",
        "sbom": "list the packages in a published image, beside its receipt",
        "lock": "write the lock file from receipts",
        "report": "write a table of images, on which Snakemake's report opens",
        "workflow": "where the CWL documents are that come with this package",
    },
    "The embedded Shock": {
        "serve": "serve the embedded Shock over HTTP",
        "user": "manage the embedded Shock's users",
        "gc": "find and remove what crashes left in the embedded Shock",
    },
}
"""The verbs of each group, and what each does in a line."""

ELSEWHERE = {
    **dict.fromkeys(("list", "images"), "ls"),
    "search": "find",
    "inspect": "show",
    "push": "publish",
    **dict.fromkeys(("remove", "rm", "rmi"), "retire or delete"),
}
"""The verbs that do what other tools call by these words."""
VERBS = {verb: line for verbs in GROUPS.values() for verb, line in verbs.items()}


def overview() -> str:
    """Return all verbs by group, as `skyport-wf --help` shows them."""
    width = max(map(len, VERBS)) + 2
    return "\n\n".join(
        "\n".join((f"{group}:", *(f"    {verb:<{width}}{line}" for verb, line in verbs.items())))
        for group, verbs in GROUPS.items()
    )
