"""Every query of the book. Nothing here commits or decides.

Hot statements take one array per column, written as PostgreSQL array literals: the driver's own way of dumping lists
costs more than the rest of an order's path together.
"""
