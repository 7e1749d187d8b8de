"""Equinox modules: what specs of networks build."""
