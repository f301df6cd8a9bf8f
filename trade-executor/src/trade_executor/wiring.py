"""The tools that the HTTP side and the workers share, made from the settings; nothing connects here."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from saras_common.clock import IST, Clock, SystemClock
from saras_common.db import Database
from saras_common.ids import NewId, new_id
from trade_executor import kite
from trade_executor.core.windows import Hours, WindowRules
from trade_executor.domain import BrokerSession
from trade_executor.market import SandboxDesk
from trade_executor.sealing import Sealer
from trade_executor.settings import BrokerAccount, Settings
from trade_executor.store.postgres import PostgresTransactions, transactions

TOKEN_DIES_AT = time(6, 0, tzinfo=IST)
"""Kite ends every session at six in the morning."""


LEAST_IDLE_S = 10.0
"""A leader stopped within a transaction holds rows its successor needs; past this, or two leases, it loses them."""

TRANSACTION_S = 20.0
"""The same where it stopped within a pipeline, which no server calls idle."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What each of them needs."""

    settings: Settings
    database: Database
    transactions: PostgresTransactions
    clock: Clock
    new_id: NewId
    sealer: Sealer
    window: WindowRules
    hours: Hours

    def login(self, account: BrokerAccount) -> kite.Login:
        """Where an account is reached."""
        return kite.Login(self.settings.kite_root, account.api_key, self.settings.timeouts_s)

    def connect(self, account: BrokerAccount, session: BrokerSession) -> kite.KiteBroker:
        """A client of its own for the calling thread."""
        return kite.KiteBroker(self.login(account), self.sealer.unseal(session.sealed_token, account.id))

    def sandbox(self, account: BrokerAccount) -> SandboxDesk | None:
        """The sandbox's own routes; ``None`` in live mode."""
        if self.settings.is_live:
            return None
        return SandboxDesk(self.settings.kite_root, account.api_key, self.settings.timeouts_s)


def wire(settings: Settings, *, clock: Clock | None = None, new_id: NewId = new_id) -> Wiring:
    """Settings to tools."""
    sealer = Sealer(settings.token_key.get_secret_value())
    database = Database(
        settings.database_url.get_secret_value(),
        schema=settings.schema_name,
        idle_in_transaction_s=max(LEAST_IDLE_S, 2 * settings.lease_ttl_s),
        transaction_s=TRANSACTION_S,
    )
    return Wiring(
        settings=settings,
        database=database,
        transactions=transactions(database, sealer.seal),
        clock=clock or SystemClock(),
        new_id=new_id,
        sealer=sealer,
        window=WindowRules(settings.window_s, settings.window_max_orders),
        hours=Hours(always=settings.opens_always),
    )


def session_ends_at(now: datetime) -> datetime:
    """The next six in the morning, Indian time."""
    local = now.astimezone(IST)
    end = datetime.combine(local.date(), TOKEN_DIES_AT)
    return end if local < end else end + timedelta(days=1)
