"""Every switch of the sandbox, and the only place that reads the environment."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kite_sandbox.market_hours import Mode
from saras_common.money import paise_from

ACCOUNT_FIELDS = 3


class AccountSettings(BaseModel):
    """One broker account: the API key and secret of its app, and its user id."""

    api_key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    secret: str = Field(min_length=1, repr=False)
    user_id: str = Field(pattern=r"^[A-Za-z0-9]{1,16}$")


class Settings(BaseSettings):
    """Read from ``SANDBOX_*``; see README.md for what each one does."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", env_ignore_empty=True, frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535)
    home: Path = Path(".saras/sandbox")
    accounts: Annotated[tuple[AccountSettings, ...], NoDecode] = (
        AccountSettings(api_key="sandbox", secret="sandbox-secret", user_id="ZS0001"),  # noqa: S106 - a published default
    )
    cash: str = "0"
    market_protection: Literal["strict", "relaxed"] = "strict"
    rate_limits: Literal["strict", "off"] = "strict"
    market_hours: Mode = "always"
    fill_delay_s: float = Field(default=0.0, ge=0, le=3600)
    freeze_quantity: int = Field(default=1_000_000, ge=1)
    instruments: Path | None = None
    prices: str = "fixed"
    tick_s: float = Field(default=1.0, gt=0, le=3600)
    postback_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    replay_from: date | None = None

    @field_validator("accounts", mode="before")
    @classmethod
    def _split_accounts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        accounts = []
        for text in value.split(","):
            parts = text.strip().split(":")
            if len(parts) != ACCOUNT_FIELDS:
                raise ValueError("an account is written api_key:secret:USERID")
            accounts.append(AccountSettings(api_key=parts[0], secret=parts[1], user_id=parts[2]))
        if len({account.api_key for account in accounts}) != len(accounts):
            raise ValueError("an api_key appears twice")
        return tuple(accounts)

    @field_validator("cash")
    @classmethod
    def _check_cash(cls, value: str) -> str:
        paise_from(value)
        return value

    @field_validator("prices")
    @classmethod
    def _check_prices(cls, value: str) -> str:
        kind, _, detail = value.partition(":")
        if kind == "fixed" and not detail:
            return value
        if kind == "walk" and detail.isdecimal():
            return value
        if kind == "replay" and detail:
            return value
        raise ValueError("one of fixed, walk:SEED, replay:PATH")

    @property
    def cash_paise(self) -> int:
        """Cash of a new account."""
        return paise_from(self.cash)

    @classmethod
    def from_environment(cls) -> Self:
        """The settings this process was started with."""
        return cls()
