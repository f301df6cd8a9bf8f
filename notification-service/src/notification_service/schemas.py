"""The HTTP bodies of this service."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from notification_service.domain.alerts import Alert, Condition
from notification_service.domain.channels import Channel, checked_contact
from notification_service.domain.endpoints import MAX_URL_CHARS
from notification_service.domain.kinds import CHOOSABLE, DEFAULTS, Kind, Mode
from notification_service.domain.preferences import Preferences, QuietHours
from notification_service.domain.views import DeliveryView, Notification
from notification_service.store.webhooks import Webhook
from notification_service.words import words_of
from saras_common.schemas import Answer, InstrumentName, Paise, Rupees, Strict, Text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("must be an IANA time zone")
    return name


def _choosable(kind: Kind) -> Kind:
    if kind not in CHOOSABLE:
        raise ValueError("this kind cannot be chosen")
    return kind


Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["22:00"])]
"""A minute of the day, HH:MM."""
AnyKind = Annotated[Kind, Field(strict=False), AfterValidator(_choosable)]
AnyChannel = Annotated[Channel, Field(strict=False)]
AnyMode = Annotated[Mode, Field(strict=False)]
Percent = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}(\.[0-9]{1,2})?$"), Field(examples=["5", "7.5"])]
"""More than 0, less than 100, at most two places."""
OptionalRupees = Annotated[
    Rupees | None, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]})
]


class NotificationAnswer(Answer):
    """``count`` orders or lines are one message; it grows, unread again, as more of the same arrives."""

    id: UUID
    kind: Kind
    title: str
    body: str
    count: int
    read: bool
    created_at: datetime
    updated_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, notification: Notification, language: str) -> Self:
        """``notification`` in words."""
        words = words_of(notification.kind, notification.data, language)
        return cls(
            id=notification.id,
            kind=notification.kind,
            title=words.title,
            body=words.body,
            count=notification.count,
            read=notification.read_at is not None,
            created_at=notification.created_at,
            updated_at=notification.updated_at,
            read_at=notification.read_at,
        )


class DeliveryAnswer(Answer):
    """``id`` is the key a receiver de-duplicates by; ``answer`` what the provider said last."""

    id: UUID
    channel: Channel
    status: str
    attempts: int
    answer: str | None
    next_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, view: DeliveryView) -> Self:
        """As it is shown."""
        shown: dict[str, Any] = {name: getattr(view, name) for name in cls.model_fields}
        return cls(**shown)


class Deliveries(Answer):
    items: list[DeliveryAnswer]


class QuietHoursBody(Strict):
    """Over midnight when ``from`` is the later one; the same minute twice is no hour at all."""

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")


class PreferencesBody(Strict):
    """The whole of a user's wishes: what is left out is as if never chosen."""

    language: Literal["en", "hi"] = "en"
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = "Asia/Kolkata"
    quiet_hours: QuietHoursBody | None = None
    digest_at: Clock = "08:00"
    contacts: dict[AnyChannel, Annotated[str, Field(max_length=255)]] = Field(
        default_factory=dict, description="Number or id by channel: sms, push, telegram, whatsapp, slack"
    )
    events: dict[AnyKind, dict[AnyChannel, AnyMode]] = Field(
        default_factory=dict, description="Kind → channel → on, off or digest"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for channel, address in self.contacts.items():
            checked_contact(channel, address)
        for modes in self.events.values():
            for channel in (Channel.IN_APP, Channel.WEBHOOK):
                if modes.get(channel) is Mode.DIGEST:
                    raise ValueError(f"{channel} has no digest")
        return self

    def wanted(self) -> Preferences:
        """As the service keeps them: of the choices, those that differ from the defaults."""
        quiet = self.quiet_hours
        choices = {
            kind: {channel: mode for channel, mode in modes.items() if DEFAULTS[kind][channel] is not mode}
            for kind, modes in self.events.items()
        }
        return Preferences(
            language=self.language,
            time_zone=self.time_zone,
            quiet=None if quiet is None else QuietHours(_minutes(quiet.start), _minutes(quiet.end)),
            digest_at=_minutes(self.digest_at),
            contacts=self.contacts,
            choices={kind: modes for kind, modes in choices.items() if modes},
        )


class QuietHoursAnswer(Answer):
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")


class PreferencesAnswer(Answer):
    """Every kind by every channel; it may be sent back as it is."""

    language: str
    time_zone: str
    quiet_hours: QuietHoursAnswer | None
    digest_at: str
    contacts: dict[Channel, str]
    events: dict[Kind, dict[Channel, Mode]]

    @classmethod
    def of(cls, chosen: Preferences) -> Self:
        """``chosen`` with the defaults filled in."""
        quiet = chosen.quiet
        return cls(
            language=chosen.language,
            time_zone=chosen.time_zone,
            quiet_hours=quiet and QuietHoursAnswer(start=_clock(quiet.start), end=_clock(quiet.end)),
            digest_at=_clock(chosen.digest_at),
            contacts=dict(chosen.contacts),
            events={kind: {channel: chosen.mode(kind, channel) for channel in Channel} for kind in CHOOSABLE},
        )


class NewWebhook(Strict):
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS, examples=["https://example.com/hooks/saras"])]
    kinds: Annotated[list[AnyKind], Field(max_length=len(CHOOSABLE))] = Field(
        default_factory=list, description="Only these kinds; none named is all of them"
    )


class WebhookAnswer(Answer):
    id: UUID
    url: str
    kinds: list[str]
    status: str
    reason: str | None
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook, **more: Any) -> Self:
        """As it is shown."""
        shown: dict[str, Any] = {name: getattr(webhook, name) for name in WebhookAnswer.model_fields}
        return cls(**{**shown, "kinds": list(webhook.kinds)}, **more)


class NewWebhookAnswer(WebhookAnswer):
    """``secret`` signs what is sent and is shown this once."""

    secret: str


class NewAlert(Strict):
    """``price`` for above and below, ``percent`` for a drawdown from the highest price since now."""

    instrument: InstrumentName
    condition: Annotated[Condition, Field(strict=False)]
    price: OptionalRupees = None
    percent: Percent | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        is_drawdown = self.condition is Condition.DRAWDOWN
        if (self.percent is not None) != is_drawdown or (self.price is not None) == is_drawdown:
            raise ValueError("a drawdown takes a percent, above and below take a price")
        if self.percent is not None and self.fall_bp == 0:
            raise ValueError("the percent must be more than 0")
        return self

    @property
    def fall_bp(self) -> int | None:
        """The percent in hundredths."""
        if self.percent is None:
            return None
        whole, _, part = self.percent.partition(".")
        return int(whole) * 100 + int(part.ljust(2, "0"))


class AlertAnswer(Answer):
    id: UUID
    instrument: str
    condition: Condition
    price: Paise | None
    percent: str | None
    status: Literal["waiting", "fired"]
    created_at: datetime
    fired_at: datetime | None
    fired_price: Paise | None

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """As it is shown."""
        return cls(
            id=alert.id,
            instrument=alert.instrument,
            condition=alert.condition,
            price=alert.price_paise,
            percent=None if alert.fall_bp is None else f"{alert.fall_bp // 100}.{alert.fall_bp % 100:02d}",
            status="waiting" if alert.fired_at is None else "fired",
            created_at=alert.created_at,
            fired_at=alert.fired_at,
            fired_price=alert.fired_paise,
        )


class Broadcast(Strict):
    title: Text
    body: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$"
        ),
    ]


class BroadcastAnswer(Answer):
    id: str
    recipients: int


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
