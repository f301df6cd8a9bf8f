"""The leader's loop: one account, one thread, one step after another; every step can be the last.

`leadership` is the lease, `desk` what all parts share, `sender` and `reader` talk to the broker, `leader` puts a step
together, `loop` runs it in a thread that sleeps until there is work.
"""
