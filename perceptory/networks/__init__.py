"""Frozen network specs and the Equinox modules that they build."""
