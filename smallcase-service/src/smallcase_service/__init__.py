"""Baskets: composition, versions, minimum, invest, rebalance, exit, repair, SIP; orders go through the book."""
