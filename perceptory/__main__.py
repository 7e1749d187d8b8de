"""The command `perceptory`, which is `python -m perceptory` too."""

from __future__ import annotations

import gc
import logging
import sys

from perceptory.app.stopping import watched

# Tracing makes many objects that stay: by Python's own threshold (700) a twentieth of a cold fit goes into looking
# at them again and again.
COLLECT_AFTER = 10_000


def main() -> int:
    """Run the command line, with an eye on signals from the first moment."""
    gc.set_threshold(COLLECT_AFTER)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it may not write its settings is nobody's concern
    with watched():
        from perceptory.app.cli import main as run

        return run()


if __name__ == "__main__":
    sys.exit(main())
