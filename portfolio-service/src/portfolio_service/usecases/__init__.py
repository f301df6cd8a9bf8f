"""The verbs of the book, one transaction each. The caller opens the session and commits it."""
