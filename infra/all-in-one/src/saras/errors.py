"""What a person at the terminal is told: one sentence of what is wrong and what to do about it."""


class CannotStart(Exception):
    """The platform cannot start as asked."""


class CommandFailed(Exception):
    """A command against a running platform did not do what was asked."""
