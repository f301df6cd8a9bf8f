"""What can be told, and how that goes out unless a user says otherwise."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from notification_service.domain.channels import Channel


class Kind(StrEnum):
    """The kinds of message; ``digest`` gathers others and cannot be chosen."""

    ORDER_ACCEPTED = "order_accepted"
    ORDER_FILLED = "order_filled"
    ORDER_REJECTED = "order_rejected"
    ORDER_CANCELLED = "order_cancelled"
    ALLOCATION = "allocation"
    FUNDS = "funds"
    BASKET = "basket"
    REBALANCE_OFFERED = "rebalance_offered"
    SIP_SKIPPED = "sip_skipped"
    KYC = "kyc"
    NEW_DEVICE = "new_device"
    PRICE_ALERT = "price_alert"
    BROADCAST = "broadcast"
    WEBHOOK_DISABLED = "webhook_disabled"
    RECONCILIATION = "reconciliation"
    EXECUTION = "execution"
    BROKER_LOGIN = "broker_login"
    DIGEST = "digest"

    @property
    def is_urgent(self) -> bool:
        """Does not wait for the end of quiet hours."""
        return self in _URGENT

    @property
    def comes_in_bursts(self) -> bool:
        """More of the same usually follows within seconds, so it waits a little before it leaves."""
        return self in _BURSTS


_URGENT = frozenset({Kind.NEW_DEVICE, Kind.RECONCILIATION, Kind.EXECUTION, Kind.BROKER_LOGIN})
_BURSTS = frozenset(
    {Kind.ORDER_ACCEPTED, Kind.ORDER_FILLED, Kind.ORDER_REJECTED, Kind.ORDER_CANCELLED, Kind.ALLOCATION}
)

CHOOSABLE = tuple(kind for kind in Kind if kind is not Kind.DIGEST)
"""Kinds a user may have preferences about."""


class Mode(StrEnum):
    """How a kind goes out by a channel."""

    ON = "on"
    OFF = "off"
    DIGEST = "digest"


PERSONAL = (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.TELEGRAM, Channel.WHATSAPP, Channel.SLACK)
"""Channels that reach a person: quiet hours and the digest are about these."""

_QUIET_BY_MAIL = frozenset({Kind.ORDER_ACCEPTED, Kind.ORDER_CANCELLED, Kind.ALLOCATION})
_BY_SMS = frozenset({Kind.NEW_DEVICE, Kind.ORDER_REJECTED, Kind.EXECUTION, Kind.BROKER_LOGIN, Kind.RECONCILIATION})
_BY_CHAT = _BY_SMS | {Kind.ORDER_FILLED, Kind.FUNDS, Kind.BASKET, Kind.SIP_SKIPPED, Kind.PRICE_ALERT, Kind.KYC}


def _default(kind: Kind, channel: Channel) -> Mode:
    if kind is Kind.DIGEST:
        return Mode.ON
    match channel:
        case Channel.EMAIL:
            chosen = kind not in _QUIET_BY_MAIL
        case Channel.SMS:
            chosen = kind in _BY_SMS
        case Channel.PUSH | Channel.TELEGRAM | Channel.WHATSAPP | Channel.SLACK:
            chosen = kind in _BY_CHAT
        case _:
            chosen = True
    return Mode.ON if chosen else Mode.OFF


DEFAULTS: Mapping[Kind, Mapping[Channel, Mode]] = MappingProxyType(
    {kind: MappingProxyType({channel: _default(kind, channel) for channel in Channel}) for kind in Kind}
)
"""Everything to the inbox and to webhooks; to mail all but the steps of an order; elsewhere what cannot wait."""
