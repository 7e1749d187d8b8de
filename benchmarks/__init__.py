"""Measurements, each printing ratios taken side by side in one run. `python -m benchmarks.population` prints the table."""
