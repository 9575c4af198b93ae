"""`python -m skyport_wf`: the command line, for a workflow that runs in this Python but has another PATH."""

import sys

from skyport_wf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
