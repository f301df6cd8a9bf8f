"""The executor simulated: a paper broker, a book that adds up, seeded schedules of trouble. For tests and proofs."""
