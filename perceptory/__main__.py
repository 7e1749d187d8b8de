"""The command `perceptory`, which is `python -m perceptory` too."""

from __future__ import annotations

import logging
import sys

from perceptory import backend
from perceptory.app.stopping import watched


def main() -> int:
    """Run the command line, with an eye on signals from the first moment."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it may not write its settings is nobody's concern
    with watched(), backend.seldom_collected():
        from perceptory.app.cli import main as run

        return run()


if __name__ == "__main__":
    sys.exit(main())
