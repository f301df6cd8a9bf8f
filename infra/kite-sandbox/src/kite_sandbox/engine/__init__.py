"""The broker, pure: commands in, records out, state rebuilt from records.

    model      orders, trades, positions, holdings, accounts and the order's state machine
    records    what happened, as facts that are written to the journal
    state      the fold: every record applied exactly one way
    requests   what clients ask for, checked field by field
    funds      what an order blocks, what a fill costs
    matching   whether and at what price an order trades
    market     last prices, the day's figures and depth
    broker     the commands: place, modify, cancel, tick, day change
    gtt        good-till-triggered orders

Nothing here opens a socket or a file, or asks for the time.
"""
