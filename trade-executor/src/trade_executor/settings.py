"""The only reader of the environment in this service."""

import base64
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from saras_common.settings import ServiceSettings

LIVE_ROOT = "https://api.kite.trade"
LIVE_TICKER = "wss://ws.kite.trade"
KEY_BYTES = 32
ACCOUNT_PARTS = 3


class BrokerAccount(BaseModel):
    """One account at the broker: our name for it, and its app's key and secret."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    api_key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    secret: SecretStr


class Settings(ServiceSettings):
    """What trade-executor needs beyond the common settings. Where a default depends on the mode it is ``None`` here."""

    service: ClassVar[str] = "trade-executor"
    schema_name: ClassVar[str] = "trade_executor"

    kite_root: str = Field(default="http://127.0.0.1:8090", description="Kite Connect, or the sandbox")
    kite_ticker: str = Field(default="", description="Its ticker socket; derived from kite_root when empty")
    kite_accounts: Annotated[tuple[BrokerAccount, ...], NoDecode] = Field(
        default=(BrokerAccount(id="main", api_key="sandbox", secret=SecretStr("sandbox-secret")),),
        description="id:api_key:secret, several separated by commas",
    )
    token_key: SecretStr = Field(
        validation_alias="EXECUTOR_TOKEN_KEY", description="Base64 AES-256 key that seals the broker's token at rest"
    )
    window_s: float = Field(default=10.0, ge=0, le=86_400, validation_alias="SARAS_WINDOW_S")
    window_max_orders: int = Field(default=200_000, ge=1, validation_alias="SARAS_WINDOW_MAX_ORDERS")
    market_hours: Literal["always", "nse"] | None = Field(default=None, validation_alias="SARAS_MARKET_HOURS")
    max_broker_order_rupees: int = Field(default=10**10, ge=1, le=10**12, description="Largest value of a broker order")
    max_account_day_rupees: int = Field(default=10**11, ge=1, le=10**12, description="Value an account sends on a day")
    protection_percent: Decimal = Field(default=Decimal(3), gt=0, le=20, decimal_places=2)
    connect_timeout_s: float | None = Field(default=None, gt=0, le=30)
    read_timeout_s: float | None = Field(default=None, gt=0, le=60)
    lease_s: float | None = Field(default=None, gt=0.1, le=60)
    absence_reads: int = Field(default=3, ge=3)
    absence_s: float | None = Field(default=None, ge=10, description="Least time over which an order must be missing")
    reconcile_every_s: float = Field(default=300.0, ge=1)
    quotes_every_s: float = Field(default=1.0, ge=1.0)
    ticker_enabled: bool = True
    failpoint: str | None = Field(default=None, validation_alias="SARAS_FAILPOINT")

    @field_validator("kite_accounts", mode="before")
    @classmethod
    def _split_accounts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        accounts = []
        for text in value.split(","):
            parts = text.strip().split(":")
            if len(parts) != ACCOUNT_PARTS:
                raise ValueError("an account is written id:api_key:secret")
            accounts.append({"id": parts[0], "api_key": parts[1], "secret": parts[2]})
        return tuple(accounts)

    @field_validator("token_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        if len(base64.b64decode(value.get_secret_value(), validate=True)) != KEY_BYTES:
            raise ValueError("must be 32 bytes in base64")
        return value

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if self.mode == "live" and self.failpoint:
            raise ValueError("failpoints exist in sandbox mode alone")
        if self.mode == "live" and not self.kite_root.startswith("https://"):
            raise ValueError("live mode talks to its broker over https")
        return self

    @property
    def is_live(self) -> bool:
        return self.mode == "live"

    @property
    def opens_always(self) -> bool:
        """Whether orders may leave at any hour."""
        return (self.market_hours or ("nse" if self.is_live else "always")) == "always"

    @property
    def timeouts_s(self) -> tuple[float, float]:
        """(connect, read) of a call to the broker."""
        return (
            self.connect_timeout_s or (3.0 if self.is_live else 0.5),
            self.read_timeout_s or (7.0 if self.is_live else 2.0),
        )

    @property
    def lease_ttl_s(self) -> float:
        return self.lease_s or (5.0 if self.is_live else 2.0)

    @property
    def absence_window_s(self) -> float:
        """Kite has shown orders 90 seconds late; the sandbox does so only when told to."""
        return self.absence_s or (100.0 if self.is_live else 10.0)

    @property
    def ticker_url(self) -> str:
        if self.kite_ticker:
            return self.kite_ticker
        return LIVE_TICKER if self.kite_root == LIVE_ROOT else self.kite_root.replace("http", "ws", 1)

    def find_account(self, account_id: str) -> BrokerAccount | None:
        """The account of that name."""
        return next((account for account in self.kite_accounts if account.id == account_id), None)
