"""Costs and penalties: what training makes small."""
