"""What an operator is told when the command cannot go on: one clear sentence, exit code 1."""


class Failure(Exception):
    """`str(failure)` is the sentence."""
