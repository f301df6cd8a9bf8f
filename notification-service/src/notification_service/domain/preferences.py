"""A user's wishes: which message by which channel, when not to be disturbed, when the digest comes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notification_service.domain.channels import Channel
from notification_service.domain.kinds import DEFAULTS, Kind, Mode

LANGUAGES = ("en", "hi")
DAY_MINUTES = 24 * 60
DIGEST_AT = 8 * 60


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From the one minute of the day up to the other, over midnight when ``start`` is the later one."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether that minute of the day is quiet."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Preferences:
    """Minutes count from midnight in ``time_zone``, an IANA name. ``choices`` holds what differs from the defaults."""

    language: str = "en"
    time_zone: str = "Asia/Kolkata"
    quiet: QuietHours | None = None
    digest_at: int = DIGEST_AT
    contacts: Mapping[Channel, str] = field(default_factory=dict)
    choices: Mapping[Kind, Mapping[Channel, Mode]] = field(default_factory=dict)

    def mode(self, kind: Kind, channel: Channel) -> Mode:
        """How ``kind`` goes out by ``channel``."""
        chosen = self.choices.get(kind)
        if chosen is not None and channel in chosen:
            return chosen[channel]
        return DEFAULTS[kind][channel]

    def allowed_at(self, kind: Kind, wanted: datetime) -> datetime:
        """The first instant from ``wanted`` on at which a message of ``kind`` may disturb."""
        if self.quiet is None or kind.is_urgent:
            return wanted
        local = wanted.astimezone(ZoneInfo(self.time_zone))
        if not self.quiet.holds(local.hour * 60 + local.minute):
            return wanted
        return self._next(wanted, self.quiet.end)

    def digest_after(self, instant: datetime) -> datetime:
        """The next time of the daily digest."""
        return self._next(instant, self.digest_at)

    def _next(self, instant: datetime, minute: int) -> datetime:
        """The first instant after ``instant`` at which the user's clock shows ``minute``.

        A minute the clock skips in spring is the instant it would have been by the time before.
        """
        zone = ZoneInfo(self.time_zone)
        day = instant.astimezone(zone).date()
        for later in range(3):
            at = datetime.combine(day + timedelta(days=later), time(minute // 60, minute % 60), zone).astimezone(UTC)
            if at > instant:
                return at
        raise AssertionError("a day has every minute within three dates")


STANDARD = Preferences()
"""Of somebody who never chose."""
