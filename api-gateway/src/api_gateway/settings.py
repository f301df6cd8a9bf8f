"""What the gateway reads from the environment: where the services are, and every limit of the edge."""

from typing import Annotated, ClassVar

from limits import parse
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from saras_common.settings import ServiceSettings

RateText = Annotated[str, Field(description="Calls per time, such as 10/minute")]
Names = Annotated[frozenset[str], NoDecode, Field(description="Separated by commas")]


DEFAULT_RATES = {
    "live": {
        "user": "200/second",
        "address": "1000/second",
        "login": "10/minute",
        "register": "20/minute",
        "refresh": "60/minute",
        "postback": "200/second",
    },
    "sandbox": {
        "user": "5000/second",
        "address": "20000/second",
        "login": "1200/minute",
        "register": "1200/minute",
        "refresh": "6000/minute",
        "postback": "1000/second",
    },
}
"""In the sandbox everybody sits at one address, and passwords there guard play money."""


class GatewaySettings(ServiceSettings):
    """A service without an address is not routed, unless it is mounted in the same process."""

    service: ClassVar[str] = "api-gateway"
    schema_name: ClassVar[str] = "api_gateway"

    database_url: SecretStr = Field(default=SecretStr(""), description="Unused: the gateway stores nothing")
    broker_url: SecretStr = Field(default=SecretStr(""), description="Unused: the gateway hears of nothing")

    user_service_url: str | None = None
    portfolio_service_url: str | None = None
    trade_executor_url: str | None = None
    smallcase_service_url: str | None = None
    notification_service_url: str | None = None
    analytics_service_url: str | None = None
    required_services: Names = Field(
        default=frozenset(), description="Services without which the gateway is not ready; all of them when empty"
    )

    rate_user: RateText | None = None
    rate_address: RateText | None = None
    rate_login: RateText | None = None
    rate_register: RateText | None = None
    rate_refresh: RateText | None = None
    rate_postback: RateText | None = None
    rate_share_interval_s: float = Field(default=0.2, gt=0)

    trusted_proxies: Names = frozenset()
    cors_origins: Names = frozenset()
    hsts: bool = Field(default=False, description="Clients reach us over TLS: tell them to insist on it")

    max_body_bytes: int = Field(default=2 * 1024 * 1024, ge=1024)
    max_header_count: int = Field(default=64, ge=8)
    max_header_bytes: int = Field(default=16 * 1024, ge=1024)
    max_url_bytes: int = Field(default=8 * 1024, ge=256)
    max_connections: int = Field(default=4096, ge=16)
    header_timeout_s: float = Field(default=10.0, gt=0)
    body_timeout_s: float = Field(default=20.0, gt=0)
    answer_timeout_s: float = Field(default=30.0, gt=0)
    keepalive_timeout_s: int = Field(default=75, ge=1)

    stream_limit: int = Field(default=3000, ge=1, description="Live streams open at once; leave sockets for requests")
    stream_user_limit: int = Field(default=20, ge=1, description="Live streams of one user")
    stream_buffer_bytes: int = Field(
        default=1024 * 1024, ge=16 * 1024, description="What may wait for a slow reader before it is dropped"
    )
    stream_heartbeat_s: float = Field(default=15.0, gt=0)
    stream_sign_in_s: float = Field(
        default=5.0, gt=0, description="A WebSocket without a token has this long to send one"
    )
    stream_quotes_s: float = Field(default=0.5, gt=0, description="Between two looks at subscribed quotes")

    revocation_poll_s: float = Field(default=0.25, gt=0)
    revocation_stale_s: float = Field(default=5.0, gt=0)
    access_log_sample: float = Field(
        default=1.0, ge=0, le=1, description="Share of 2xx-4xx requests logged; 5xx always"
    )

    @field_validator("trusted_proxies", "cors_origins", "required_services", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("rate_user", "rate_address", "rate_login", "rate_register", "rate_refresh", "rate_postback")
    @classmethod
    def _rate(cls, value: str | None) -> str | None:
        if value is not None:
            parse(value)
        return value

    def rate(self, name: str) -> str:
        """What holds for one kind of call: its own setting, or the mode's default."""
        chosen: str | None = getattr(self, f"rate_{name}")
        return chosen or DEFAULT_RATES[self.mode][name]

    def service_urls(self) -> dict[str, str]:
        """Address of each service that has one."""
        urls = {
            "user-service": self.user_service_url,
            "portfolio-service": self.portfolio_service_url,
            "trade-executor": self.trade_executor_url,
            "smallcase-service": self.smallcase_service_url,
            "notification-service": self.notification_service_url,
            "analytics-service": self.analytics_service_url,
        }
        return {service: url for service, url in urls.items() if url}
