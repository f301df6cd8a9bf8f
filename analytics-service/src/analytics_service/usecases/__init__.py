"""The service's verbs, a transaction each."""
