"""Saras in one process: embedded PostgreSQL, every service mounted, the sandbox beside it."""
