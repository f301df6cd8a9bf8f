"""The executor's decisions, pure: facts in, decisions out. No input or output, no clock, no randomness of its own."""
