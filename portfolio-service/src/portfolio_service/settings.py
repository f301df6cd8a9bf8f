"""The only reader of the environment in this service."""

from typing import ClassVar

from pydantic import Field

from portfolio_service.domain.entry import Rules
from saras_common.money import PAISE
from saras_common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What portfolio-service needs beyond the common settings."""

    service: ClassVar[str] = "portfolio-service"
    schema_name: ClassVar[str] = "portfolio_service"

    require_kyc: bool = Field(default=False, validation_alias="REQUIRE_KYC")
    protection_percent: int = Field(
        default=3, ge=0, le=100, description="Band over the last price a buy without a limit holds cash for"
    )
    price_band_percent: int = Field(
        default=50, ge=1, le=100, description="A limit may be this far on the far side of the last price"
    )
    max_order_rupees: int = Field(default=10**8, ge=1, le=10**11, description="Largest value of one order")
    max_order_quantity: int = Field(default=10**6, ge=1, le=10**9, description="Largest quantity of one order")
    max_open_orders: int = Field(default=10**6, ge=1, description="Open orders a user may have")
    max_day_orders: int = Field(default=10**6, ge=1, description="Orders of a user on one day")
    max_day_rupees: int = Field(default=10**11, ge=1, le=10**12, description="Value of a user's orders on one day")
    entry_flushers: int = Field(
        default=2, ge=1, le=8, description="Transactions of order entry at once; a second starts only past a slow one"
    )
    entry_group_orders: int = Field(default=2000, ge=1000, le=20_000, description="Orders that may share a commit")
    entry_waiting_orders: int = Field(default=50_000, ge=1000, description="Orders waiting before we answer 503")
    outbox_limit: int = Field(default=1_000_000, ge=1, description="Events waiting for the bus before we answer 503")
    idempotency_keep_hours: int = Field(default=72, ge=1, description="How long an answer is kept for its key")
    partitions: int = Field(
        default=1, ge=1, le=16, description="Parts the users' events are split into, each with a consumer of its own"
    )
    pool_size: int = Field(default=8, ge=2, le=64, validation_alias="PORTFOLIO_POOL_SIZE")

    def rules(self) -> Rules:
        """Limits of order entry."""
        return Rules(
            protection_percent=self.protection_percent,
            price_band_percent=self.price_band_percent,
            max_order_paise=self.max_order_rupees * PAISE,
            max_quantity=self.max_order_quantity,
            max_open_orders=self.max_open_orders,
            max_day_orders=self.max_day_orders,
            max_day_paise=self.max_day_rupees * PAISE,
            require_kyc=self.require_kyc,
        )
