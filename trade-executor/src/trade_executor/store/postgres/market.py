"""Marks and the instrument list."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from trade_executor.broker import Listed, Quote
from trade_executor.store.postgres.statements import Statements


class MarketQueries(Statements):
    """Market data of all accounts."""

    def find_marks(self, instruments: Iterable[str]) -> dict[str, int]:
        rows = self.all("SELECT instrument, last_paise FROM marks WHERE instrument = ANY(%s)", [list(instruments)])
        return {row[0]: row[1] for row in rows}

    def find_quotes(self, instruments: Iterable[str]) -> dict[str, tuple[int, int | None, datetime]]:
        """Last price, previous close and when it was read."""
        rows = self.all(
            "SELECT instrument, last_paise, close_paise, at FROM marks WHERE instrument = ANY(%s)", [list(instruments)]
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def save_marks(self, quotes: Mapping[str, Quote], at: datetime) -> list[str]:
        """Keep last prices; the instruments whose price or close changed."""
        rows = self.all(
            "INSERT INTO marks AS m (instrument, last_paise, close_paise, at)"
            " SELECT *, %s::timestamptz FROM unnest(%s::text[], %s::bigint[], %s::bigint[])"
            " ON CONFLICT (instrument) DO UPDATE SET last_paise = excluded.last_paise,"
            " close_paise = excluded.close_paise, at = excluded.at"
            " WHERE (m.last_paise, m.close_paise) IS DISTINCT FROM (excluded.last_paise, excluded.close_paise)"
            " RETURNING instrument",
            [
                at,
                list(quotes),
                [quote.last_paise for quote in quotes.values()],
                [quote.close_paise for quote in quotes.values()],
            ],
        )
        return sorted(row[0] for row in rows)

    def save_instruments(self, listed: Sequence[Listed]) -> list[str]:
        """Keep the broker's list; the instruments that are new or changed."""
        rows = self.all(
            "INSERT INTO instruments AS i (name, token, title, tick_paise, lot_size, kind)"
            " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])"
            " ON CONFLICT (name) DO UPDATE SET token = excluded.token, title = excluded.title,"
            " tick_paise = excluded.tick_paise, lot_size = excluded.lot_size, kind = excluded.kind"
            " WHERE (i.token, i.title, i.tick_paise, i.lot_size, i.kind) IS DISTINCT FROM"
            " (excluded.token, excluded.title, excluded.tick_paise, excluded.lot_size, excluded.kind)"
            " RETURNING name",
            [
                [row.instrument for row in listed],
                [row.token for row in listed],
                [row.name for row in listed],
                [row.tick_paise for row in listed],
                [row.lot_size for row in listed],
                [row.kind for row in listed],
            ],
        )
        return [row[0] for row in rows]

    def find_instrument(self, name: str) -> Listed | None:
        row = self.find(
            "SELECT name, token, title, tick_paise, lot_size, kind FROM instruments WHERE name = %s", [name]
        )
        return None if row is None else Listed(*row)

    def list_tokens(self, names: Sequence[str]) -> dict[int, str]:
        """Instruments by the broker's token."""
        rows = self.all("SELECT token, name FROM instruments WHERE name = ANY(%s)", [list(names)])
        return {row[0]: row[1] for row in rows}

    def list_instruments(self, query: str, after: str, limit: int) -> list[Listed]:
        """Instruments whose symbol or name holds ``query``, in alphabetical order after ``after``."""
        pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        rows = self.all(
            "SELECT name, token, title, tick_paise, lot_size, kind FROM instruments"
            " WHERE (name ILIKE %s OR title ILIKE %s) AND name > %s ORDER BY name LIMIT %s",
            [pattern, pattern, after, limit],
        )
        return [Listed(*row) for row in rows]

    def list_interesting(self, limit: int) -> list[str]:
        """Instruments to keep quoted: all when the list is short, else those ever ordered here, latest first."""
        count = int(self.get("SELECT count(*) FROM (SELECT 1 FROM instruments LIMIT %s) few", [limit + 1])[0])
        if count <= limit:
            rows = self.all("SELECT name FROM instruments ORDER BY name")
        else:
            rows = self.all("SELECT instrument FROM totals GROUP BY instrument LIMIT %s", [limit])
            rows += self.all("SELECT DISTINCT instrument FROM blocks WHERE state = 'WORKING' LIMIT %s", [limit])
            rows += self.all("SELECT instrument FROM marks ORDER BY at DESC LIMIT %s", [limit])
        return list(dict.fromkeys(row[0] for row in rows))[:limit]
