"""The tables, in schema ``trade_executor``. Money is paise, quantities are units, all 64-bit integers.

A block's orders live in columns (``statements``, ``shares``): little-endian int64 arrays in canonical row order, a row
of the table for a block, so that a fill of a block of thousands of orders writes one row. Only the account's leader
writes blocks, intents, broker orders, fills, credits and certificates.
"""

from saras_common.inbox import add_inbox_table
from saras_common.outbox import add_outbox_table
from trade_executor.models import accounts, broker, evidence, orders
from trade_executor.models.base import SCHEMA, Base

OUTBOX = add_outbox_table(Base.metadata, SCHEMA)
INBOX, INBOX_PARKED = add_inbox_table(Base.metadata, SCHEMA)

__all__ = ["INBOX", "INBOX_PARKED", "OUTBOX", "SCHEMA", "Base", "accounts", "broker", "evidence", "orders"]
