"""Choosing: validation plans and their folds, metrics, search values, ranking."""
