"""What a study came to, as data: candidates, members, predictions, facts of the data."""
