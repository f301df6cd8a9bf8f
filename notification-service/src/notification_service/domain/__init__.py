"""Pure: what is worth telling, to whom, where and when, and in which words. No database, no clock, no network."""
