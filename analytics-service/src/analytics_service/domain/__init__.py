"""What is true of trades, positions, marks and returns, whatever stores or serves them. Pure."""
