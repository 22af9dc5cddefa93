"""``python -m interlock`` is the command ``interlock``."""

import sys

from interlock.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
