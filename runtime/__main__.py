"""`python -m runtime`."""

import sys

from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli
from sparsr.runtime.signals import interrupt_on_signals

if __name__ == "__main__":
    interrupt_on_signals()
    sys.exit(run_cli(main))
