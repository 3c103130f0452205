"""`python -m runtime`."""

import signal
import sys

from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli

if __name__ == "__main__":
    # So that `kill`, like Ctrl-C, leaves nothing half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run_cli(main))
