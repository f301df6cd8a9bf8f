"""What all tables share."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    LargeBinary,
    MetaData,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

SCHEMA = "trade_executor"


def one_of(column: str, values: Any) -> str:
    """SQL: ``column`` holds one of ``values``, which are words of ours."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    """This service's own tables."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it
        datetime: DateTime(timezone=True),
        date: Date,
        str: Text,
        bytes: LargeBinary,
        int: BigInteger,
        list[int]: ARRAY(BigInteger),
        list[str]: ARRAY(Text),
        list[Any]: JSONB,
        dict[str, Any]: JSONB,
    }
