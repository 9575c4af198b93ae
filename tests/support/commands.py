"""Where the commands under test and this checkout are."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
"""Commands are called by their path, as from an environment that is not activated."""
SKYPORT = str(COMMANDS / "skyport-wf")
EXAMPLES = CHECKOUT / "examples"
