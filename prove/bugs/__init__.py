"""The catalogue of planted bugs: each one a small wrong turn, patched in for as long as its schedules play."""
