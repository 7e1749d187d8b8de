"""A study: data, candidates and a validation plan; its result."""
