"""`python -m train`."""

import sys

from sparsr.runtime.errors import run_cli
from sparsr.train.cli import main

if __name__ == "__main__":
    sys.exit(run_cli(main))
