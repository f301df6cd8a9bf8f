"""The only reader of the environment in this service."""

from typing import ClassVar

from pydantic import Field, SecretStr

from saras_common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What user-service needs beyond the common settings."""

    service: ClassVar[str] = "user-service"
    schema_name: ClassVar[str] = "user_service"

    data_keys: SecretStr = Field(
        validation_alias="USER_DATA_KEYS",
        description="Base64 AES-256 keys separated by commas; the first seals, the others still open old rows",
    )
    admin_email: str = Field(default="admin@saras.local", validation_alias="SARAS_ADMIN_EMAIL")
    admin_password: SecretStr | None = Field(default=None, validation_alias="SARAS_ADMIN_PASSWORD")
    access_ttl_s: int = Field(default=600, ge=30, le=3600)
    session_ttl_s: int = Field(default=30 * 86400, ge=600)
    signing_key_max_age_days: int = Field(default=30, ge=1)
    password_threads: int = Field(default=2, ge=1, le=32, description="Sign-ins worked on at once; each takes 19 MiB")
    password_queue: int = Field(default=64, ge=1, description="Sign-ins waiting for a thread before we answer 503")
    login_account_burst: int = Field(default=10, ge=1, description="Failed attempts at once for an account")
    login_address_burst: int = Field(default=100, ge=1, description="Failed attempts at once from an address")
    login_global_burst: int = Field(default=1000, ge=1, description="Failed attempts at once in all")
