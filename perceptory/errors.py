"""The one exception that perceptory raises for bad input."""


class InputError(ValueError):
    """Bad input, said in one sentence: what was expected, what was received, what to do.

    The command line prints the sentence and ends with exit code 2; in Python it is a `ValueError`.
    """
