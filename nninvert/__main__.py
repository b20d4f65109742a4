"""``python -m nninvert``: the command line."""

import sys

from nninvert.cli import main

if __name__ == "__main__":
    sys.exit(main())
