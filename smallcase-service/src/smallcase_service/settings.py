"""The only reader of the environment in this service."""

from typing import ClassVar

from pydantic import Field

from saras_common.money import PAISE
from saras_common.settings import ServiceSettings
from smallcase_service.domain.validation import Limits


class Settings(ServiceSettings):
    """What smallcase-service needs beyond the common settings."""

    service: ClassVar[str] = "smallcase-service"
    schema_name: ClassVar[str] = "smallcase_service"

    portfolio_service_url: str = Field(default="http://127.0.0.1:8002", description="Where orders are placed")
    protection_percent: int = Field(
        default=3, ge=0, le=100, description="Band over the last price a buy may cost; the book's own, or more"
    )
    max_price_age_sessions: int = Field(default=3, ge=1, description="A basket with an older price is not traded")
    min_turnover_rupees: int = Field(default=10**6, ge=0, description="Value traded on a typical day of a liquid stock")
    max_minimum_rupees: int = Field(default=10**7, ge=1, description="Largest minimum investment")
    cooldown_days: int = Field(default=7, ge=0, description="Between a basket's rebalance and the next offer")
    runs_every_s: float = Field(default=0.5, gt=0, description="How often runs are looked at")
    watch_every_s: float = Field(default=10.0, gt=0, description="How often drift and instalments are looked at")

    def limits(self) -> Limits:
        """When a basket may be traded."""
        return Limits(
            max_price_age_sessions=self.max_price_age_sessions,
            min_turnover_paise=self.min_turnover_rupees * PAISE,
            max_minimum_paise=self.max_minimum_rupees * PAISE,
        )
