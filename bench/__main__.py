"""`python -m bench`."""

import sys

from sparsr.bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
