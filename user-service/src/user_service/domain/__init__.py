"""What is true of people, sessions, tokens and keys, whatever stores or serves them. Pure."""
