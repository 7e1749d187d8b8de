"""The command `perceptory`, which is `python -m perceptory` too."""

from __future__ import annotations

import sys

from perceptory.app.stopping import exit_code, watched


def main() -> int:
    """Run the command line, with an eye on signals from the first moment."""
    with watched():
        try:
            from perceptory.app.cli import main as run

            return run()
        except KeyboardInterrupt:  # before or after what `run` does
            sys.stderr.write("perceptory: stopped.\n")
            return exit_code()


if __name__ == "__main__":
    sys.exit(main())
