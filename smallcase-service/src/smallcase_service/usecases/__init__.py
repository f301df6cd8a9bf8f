"""The verbs of this service, by noun: smallcases, runs, investments, SIPs, the market."""
