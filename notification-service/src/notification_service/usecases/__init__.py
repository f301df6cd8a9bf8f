"""The verbs of this service, one transaction each unless said otherwise."""
