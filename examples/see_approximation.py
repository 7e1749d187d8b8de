"""[E14] against [E15]: how the error falls with the number of neurons, and of fixed basis functions, by dimension.

One study of every number of neurons h, every number of inputs p and every start; the slopes on logarithmic axes stand
beside what theory promises: -1 or steeper for the network whatever p is, -2/p for the fixed basis (at worst).
`python examples/see_approximation.py FOLDER` is the whole study (half a minute) and keeps the figure.
"""

import sys
import tempfile
from pathlib import Path

import perceptory as pt

whole = len(sys.argv) > 1
folder = Path(sys.argv[1] if whole else tempfile.mkdtemp())
if whole:
    found = pt.insight.approximation_study()
else:
    found = pt.insight.approximation_study(neurons=(1, 2, 4, 8), inputs=(1, 4), rows=500, starts=2, epochs=150)
print(found)
found.figure().savefig(folder / "approximation.png")
