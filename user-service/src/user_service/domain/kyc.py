"""Know-your-customer details: their form, and how little of them is ever shown."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from user_service.domain.people import KycStatus

MIN_AGE_YEARS = 18
MAX_AGE_YEARS = 120
_PAN = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
_IFSC = re.compile(r"[A-Z]{4}0[A-Z0-9]{6}")
_ACCOUNT = re.compile(r"[0-9]{9,18}")


@dataclass(frozen=True, slots=True)
class KycDetails:
    """What a user declares, in the clear; exists in memory only."""

    pan: str
    date_of_birth: date
    address: str
    bank_account: str
    ifsc: str

    def __repr__(self) -> str:
        return "KycDetails(…)"


@dataclass(frozen=True, slots=True)
class KycRecord:
    """A declaration as stored: sealed, with what became of it."""

    user_id: UUID
    status: KycStatus
    sealed: bytes
    submitted_at: datetime
    decided_at: datetime | None
    reason: str | None


def normalised_pan(text: str) -> str:
    """Permanent account number, ``AAAAA9999A``; ``ValueError`` when it is none."""
    return _matching(_PAN, text.strip().upper(), "not a PAN")


def normalised_ifsc(text: str) -> str:
    """Indian Financial System Code, ``AAAA0XXXXXX``; ``ValueError`` when it is none."""
    return _matching(_IFSC, text.strip().upper(), "not an IFSC")


def normalised_bank_account(text: str) -> str:
    """9 to 18 digits; ``ValueError`` when it is something else."""
    return _matching(_ACCOUNT, text.strip().replace(" ", ""), "not a bank account number")


def age_years(born_on: date, today: date) -> int:
    """Completed years."""
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))


def masked(text: str, *, shown: int = 4) -> str:
    """``text`` with all but its last characters hidden; short texts are hidden whole."""
    if len(text) <= 2 * shown:
        return "X" * len(text)
    return "X" * (len(text) - shown) + text[-shown:]


def masked_address(text: str) -> str:
    """The first letters alone."""
    return text[:3] + "…"


def _matching(pattern: re.Pattern[str], text: str, fault: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(fault)
    return text
