"""Numerical primitives below layers: activations, cells, scans, windows, factors of matrices, k-means."""
