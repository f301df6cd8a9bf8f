"""The only reader of the environment in this service."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from saras_common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What notification-service needs beyond the common settings. A channel without its setting is not offered."""

    service: ClassVar[str] = "notification-service"
    schema_name: ClassVar[str] = "notification_service"

    webhook_key: SecretStr = Field(
        min_length=32,
        validation_alias="NOTIFY_WEBHOOK_KEY",
        description="Master key the signing secret of each webhook is derived from",
    )
    allow_loopback: bool = Field(
        default=False,
        validation_alias="NOTIFY_ALLOW_LOOPBACK",
        description="Test switch: webhooks may go to the loopback, over plain http",
    )
    webhook_give_up_h: int = Field(
        default=72, ge=1, validation_alias="NOTIFY_WEBHOOK_GIVE_UP_H", description="Hours of failure that disable one"
    )

    mail_from: str = Field(default="Saras <no-reply@saras.local>", validation_alias="NOTIFY_MAIL_FROM")
    smtp_host: str | None = Field(default=None, validation_alias="NOTIFY_SMTP_HOST")
    smtp_port: int = Field(default=587, ge=1, le=65535, validation_alias="NOTIFY_SMTP_PORT")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="starttls", validation_alias="NOTIFY_SMTP_SECURITY"
    )
    smtp_user: str | None = Field(default=None, validation_alias="NOTIFY_SMTP_USER")
    smtp_password: SecretStr | None = Field(default=None, validation_alias="NOTIFY_SMTP_PASSWORD")
    mail_folder: Path | None = Field(
        default=None,
        validation_alias="NOTIFY_MAIL_FOLDER",
        description="Without an SMTP server: a Maildir that mail is put into, for development",
    )

    sms_url: SecretStr | None = Field(
        default=None,
        validation_alias="NOTIFY_SMS_URL",
        description="apprise address of the gateway, credentials included, {to} where the recipient goes",
    )
    push_url: SecretStr | None = Field(default=None, validation_alias="NOTIFY_PUSH_URL", description="As the SMS one")
    telegram_url: SecretStr | None = Field(default=None, validation_alias="NOTIFY_TELEGRAM_URL", description="As above")
    whatsapp_url: SecretStr | None = Field(default=None, validation_alias="NOTIFY_WHATSAPP_URL", description="As above")
    slack_url: SecretStr | None = Field(default=None, validation_alias="NOTIFY_SLACK_URL", description="As above")

    settle_s: float = Field(
        default=5.0,
        ge=0,
        validation_alias="NOTIFY_SETTLE_S",
        description="A message waits this long for more of its burst before it leaves the house",
    )
    attempts: int = Field(
        default=10, ge=1, validation_alias="NOTIFY_ATTEMPTS", description="Tries of one delivery before it is given up"
    )
    backoff_s: float = Field(
        default=10.0, gt=0, validation_alias="NOTIFY_BACKOFF_S", description="First pause between tries; it doubles"
    )
    lease_s: float = Field(
        default=60.0,
        gt=0,
        validation_alias="NOTIFY_LEASE_S",
        description="After this a delivery somebody began to send is anybody's again",
    )
    send_timeout_s: float = Field(
        default=10.0, gt=0, validation_alias="NOTIFY_SEND_TIMEOUT_S", description="For one try, the whole of it"
    )
    send_threads: int = Field(
        default=4, ge=1, le=64, validation_alias="NOTIFY_SEND_THREADS", description="Sent at once by one worker"
    )
    partitions: int = Field(
        default=1, ge=1, le=16, description="Parts the users' events are split into, each with a consumer of its own"
    )
    poll_s: float = Field(default=0.5, gt=0, validation_alias="NOTIFY_POLL_S", description="Pause of an idle worker")
    feed_keep_days: int = Field(
        default=3,
        ge=1,
        validation_alias="NOTIFY_FEED_KEEP_DAYS",
        description="How long a broken live stream can go on where it was",
    )
    keep_days: int = Field(default=365, ge=1, validation_alias="NOTIFY_KEEP_DAYS")

    @property
    def has_task_queue(self) -> bool:
        """Whether deliveries travel by Celery: on RabbitMQ they do."""
        return self.broker_url.get_secret_value().startswith("amqp")
