"""`python -m perceptory`: the same as the command `perceptory`."""

import sys

from perceptory.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
