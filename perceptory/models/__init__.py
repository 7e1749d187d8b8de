"""The trained model: its file, intervals, what it learned of a distribution, its ensemble."""
