"""The edge: Kite's routes, the ticker, postbacks, and the sandbox's own routes. Thin; it decides nothing."""
