"""Tables of the PostgreSQL bus."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid
from sqlalchemy import func as sql_func

metadata = MetaData(schema="bus")

message = Table(
    "message",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
)
Index("message_queue", message.c.queue, message.c.seq)

parked = Table(
    "parked",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("queue", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False, server_default=sql_func.now()),
)
Index("parked_queue", parked.c.queue, parked.c.id)
