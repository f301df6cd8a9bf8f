"""The all-in-one's settings, and the only place here that reads the environment.

What is not named here (windows, limits, fault switches) belongs to one service and is read by that service's own
settings from the same environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from saras.errors import CannotStart

DEFAULT_ADMIN_EMAIL = "admin@saras.local"


class PlatformSettings(BaseSettings):
    """Read once, at the start of a command, from ``SARAS_…`` or the variable named beside the field."""

    model_config = SettingsConfigDict(
        env_prefix="SARAS_", extra="ignore", frozen=True, validate_by_name=True, env_ignore_empty=True
    )

    home: Path = Path(".saras")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    sandbox_port: int = Field(default=8090, ge=1, le=65535)
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="A server to use instead of the embedded one; its login must be allowed to create roles.",
    )
    broker_url: SecretStr | None = Field(
        default=None, validation_alias="BROKER_URL", description="amqp://… for RabbitMQ; the PostgreSQL bus if unset."
    )
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    mode: Literal["sandbox", "live"] = "sandbox"
    live_confirmed: bool = False
    layout: Literal["one", "spread"] = Field(
        default="one", description="All services in one process, or each process type apart on private servers."
    )
    kite_root: str = Field(
        default="https://api.kite.trade", validation_alias="KITE_ROOT", description="The broker, in live mode."
    )
    kite_accounts: SecretStr | None = Field(
        default=None, validation_alias="KITE_ACCOUNTS", description="id:api_key:secret, …: needed in live mode."
    )
    role_passwords: SecretStr | None = Field(
        default=None, description="role:password, …: logins `saras migrate` makes, one a service and one for the bus."
    )
    admin_email: str = DEFAULT_ADMIN_EMAIL
    admin_password: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", validation_alias="LOG_LEVEL")

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox broker answers."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of this process; `CannotStart` names each variable that is wrong, never its value."""
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(
                f"{_variable(str(item['loc'][0]))}: {item['msg']}" for item in error.errors(include_input=False)
            )
            raise CannotStart(f"the environment is not right: {wrong}") from error


def _variable(name: str) -> str:
    """The environment's name of a field, which pydantic calls by either."""
    return name if name.isupper() else f"SARAS_{name.upper()}"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with ``changes``, for a program it starts."""
    return {**os.environ, **changes}
