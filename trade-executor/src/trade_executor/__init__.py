"""The one hand on the broker: windows, blocks, broker orders, fills, allocation, reconciliation."""
