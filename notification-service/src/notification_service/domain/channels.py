"""Where a message can go, and what an address there looks like."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Channel(StrEnum):
    """``in_app`` is the inbox itself; ``webhook`` goes to every endpoint of the user; the others have one address."""

    IN_APP = "in_app"
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"
    SLACK = "slack"
    WEBHOOK = "webhook"


_E164 = re.compile(r"\+[1-9][0-9]{7,14}")

CONTACT_SHAPES: Mapping[Channel, re.Pattern[str]] = MappingProxyType(
    {
        Channel.SMS: _E164,
        Channel.WHATSAPP: _E164,
        Channel.TELEGRAM: re.compile(r"-?[0-9]{5,15}"),
        Channel.SLACK: re.compile(r"[CDGUW][A-Z0-9]{8,20}"),
        Channel.PUSH: re.compile(r"[A-Za-z0-9_:-]{8,255}"),
    }
)
"""A user gives a number or an id, never an address with a scheme: what it may be made of cannot end or extend one."""


def checked_contact(channel: Channel, address: str) -> str:
    """``address`` when it is one of that channel; else ``ValueError``."""
    shape = CONTACT_SHAPES.get(channel)
    if shape is None:
        raise ValueError("this channel has no address of its own")
    if not shape.fullmatch(address):
        raise ValueError(f"not an address for {channel}")
    return address
