"""`python -m export`."""

import sys

from sparsr.export.cli import main
from sparsr.runtime.errors import run_cli

if __name__ == "__main__":
    sys.exit(run_cli(main))
