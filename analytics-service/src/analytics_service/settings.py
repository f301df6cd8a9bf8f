"""The only reader of the environment in this service."""

from typing import ClassVar

from pydantic import Field

from saras_common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What analytics-service needs beyond the common settings."""

    service: ClassVar[str] = "analytics-service"
    schema_name: ClassVar[str] = "analytics_service"

    portfolio_service_url: str | None = Field(
        default=None, description="Where the book answers, as http://host:port; unused when it is in the same process"
    )
    snapshot_delay_s: int = Field(default=300, ge=0, le=6 * 3600, description="From a session's close to its snapshot")
    lease_s: int = Field(default=600, ge=30, description="How long a silent worker keeps others from its work")
    price_band_percent: int = Field(
        default=20, ge=1, le=100, description="A trade may be this far outside the day's range before it is set aside"
    )
    risk_free_percent: str = Field(
        default="0", pattern=r"^\d{1,2}(\.\d{1,4})?$", description="Yearly risk-free rate of Sharpe and alpha"
    )
    benchmark: str = Field(default="NSE:NIFTY 50", description="What portfolios are compared with unless told")
    chromium: str | None = Field(
        default=None, description="Browser that draws PNG and SVG; looked for on the path when empty"
    )
    partitions: int = Field(
        default=1, ge=1, le=16, description="Parts the users' events are split into, each with a consumer of its own"
    )
    pool_size: int = Field(default=4, ge=2, le=64, validation_alias="ANALYTICS_POOL_SIZE")
