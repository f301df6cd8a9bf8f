"""What every service reads from the environment.

A service's ``settings`` module subclasses this and is the only
reader of the environment there; secrets are `SecretStr`, so they do not show in logs or reprs.
"""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Common settings; names of the environment are the fields' names in capitals unless an alias says otherwise."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True)

    service: ClassVar[str]
    """Name of the service: its distribution, its audience in internal tokens, its queue."""

    schema_name: ClassVar[str]
    """Its schema and database role."""

    database_url: SecretStr = Field(description="postgresql://role:password@host:port/database of this service's login")
    broker_url: SecretStr = Field(description="The bus: amqp://… for RabbitMQ, postgresql://… for the PostgreSQL bus")
    redis_url: SecretStr | None = Field(default=None, description="Optional cache shared by processes")
    internal_token_key: SecretStr = Field(min_length=32, description="Key of the tokens services show one another")
    mode: Literal["sandbox", "live"] = Field(default="sandbox", validation_alias="SARAS_MODE")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    probe_port: int = Field(
        default=0, ge=0, le=65535, description="Liveness and metrics of a process without an API; 0 is none"
    )
    listen_fd: int | None = Field(
        default=None, ge=3, description="A listening socket of whoever starts the process, instead of one of its own"
    )
    ready_fd: int | None = Field(default=None, ge=3, description="A pipe that gets a byte once the process is ready")
    traces_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="OTLP collector that gets traces of orders, such as http://collector:4318/v1/traces; none if empty",
    )
    traces_share: float = Field(default=1.0, ge=0, le=1, description="Share of the orders that are traced")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
