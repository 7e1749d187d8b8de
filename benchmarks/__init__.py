"""Measurements; each prints ratios taken side by side in one run. Start: `python -m benchmarks.population`."""
