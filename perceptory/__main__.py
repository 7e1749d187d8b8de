"""The command `perceptory`, which is `python -m perceptory` too."""

from __future__ import annotations

import sys

from perceptory.app.stopping import watched


def main() -> int:
    """Run the command line, with an eye on signals from the first moment."""
    with watched():
        from perceptory.app.cli import main as run

        return run()


if __name__ == "__main__":
    sys.exit(main())
