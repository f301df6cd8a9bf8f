"""What holds for any wishes, any order of arrival, any attempt."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from functools import reduce
from ipaddress import IPv4Address, IPv6Address
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_service.domain.channels import CONTACT_SHAPES, Channel
from notification_service.domain.deliveries import MAX_BACKOFF_S, TRANSITIONS, State, backoff_s
from notification_service.domain.endpoints import RefusedEndpoint, check_address
from notification_service.domain.kinds import DEFAULTS, Kind, Mode
from notification_service.domain.news import fold, size
from notification_service.domain.planning import Hook, Reader, plan
from notification_service.domain.preferences import DAY_MINUTES, Preferences, QuietHours
from notification_service.domain.signing import is_genuine, secret_of, signature
from saras_common.ids import new_id

MINUTES = st.integers(0, DAY_MINUTES - 1)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
ZONES = st.sampled_from(sorted(available_timezones()))
NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)


@given(INSTANTS, MINUTES, MINUTES, ZONES)
def test_a_message_waits_for_the_end_of_quiet_hours_and_no_longer(at, start, end, zone):
    wishes = Preferences(time_zone=zone, quiet=QuietHours(start, end))
    allowed = wishes.allowed_at(Kind.FUNDS, at)
    assert at <= allowed <= at + timedelta(days=2)
    assert wishes.allowed_at(Kind.NEW_DEVICE, at) == at
    local = at.astimezone(ZoneInfo(zone))
    if not wishes.quiet.holds(local.hour * 60 + local.minute):
        assert allowed == at


@given(INSTANTS, MINUTES, MINUTES)
def test_where_clocks_do_not_change_nothing_disturbs_in_quiet_hours(at, start, end):
    wishes = Preferences(quiet=QuietHours(start, end))
    local = wishes.allowed_at(Kind.FUNDS, at).astimezone(ZoneInfo("Asia/Kolkata"))
    assert not wishes.quiet.holds(local.hour * 60 + local.minute)
    digest = Preferences(digest_at=start).digest_after(at)
    assert at < digest <= at + timedelta(days=1)


def test_quiet_hours_over_midnight():
    quiet = QuietHours(22 * 60, 7 * 60)
    assert [quiet.holds(hour * 60) for hour in (21, 22, 0, 6, 7)] == [False, True, True, True, False]
    assert not any(QuietHours(60, 60).holds(minute) for minute in range(DAY_MINUTES))


ORDER = st.fixed_dictionaries(
    {
        "at": st.sampled_from(["2026-03-02T05:00:00", "2026-03-02T05:00:01", "2026-03-02T05:00:02"]),
        "status": st.sampled_from(["PARTIALLY_FILLED", "FILLED", "CANCELLED", "EXPIRED", "REJECTED", "ACCEPTED"]),
        "filled": st.integers(0, 3),
    }
)


@given(st.lists(st.tuples(st.sampled_from("abc"), ORDER), min_size=1, max_size=5), st.randoms())
def test_orders_fold_to_the_same_in_any_arrival(updates, rng):
    def folded(parts):
        return reduce(fold, [{"orders": {key: order}} for key, order in parts])

    shuffled = list(updates) * 2
    rng.shuffle(shuffled)
    assert folded(updates) == folded(shuffled)
    assert size(folded(updates)) == len({key for key, _ in updates})


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 5)), min_size=1, max_size=6))
def test_lines_sum_whatever_comes_first(parts):
    facts = [{"lines": {key: {"quantity": n, "value_paise": 10 * n, "charges_paise": 1}}} for key, n in parts]
    totals = {tuple(sorted((k, v["quantity"]) for k, v in reduce(fold, order)["lines"].items()))
              for order in itertools.islice(itertools.permutations(facts), 24)}  # fmt: skip
    assert len(totals) == 1


@given(st.integers(1, 10_000), st.integers())
def test_pauses_grow_and_end_somewhere(attempts, seed):
    pause = backoff_s(attempts, 10, random.Random(seed))
    full = min(10 * 2.0 ** min(attempts - 1, 40), MAX_BACKOFF_S)
    assert full / 2 <= pause <= full


def test_what_is_over_stays_over():
    assert set(TRANSITIONS) == set(State)
    assert all(not TRANSITIONS[state] for state in (State.SENT, State.FAILED, State.DIGESTED))


@given(
    st.sampled_from([kind for kind in Kind if kind is not Kind.DIGEST]),
    st.sets(st.sampled_from(list(Channel))),
    st.dictionaries(st.sampled_from(list(Channel)), st.sampled_from(list(Mode))),
    st.sets(st.sampled_from(sorted(CONTACT_SHAPES))),
)
def test_a_plan_uses_what_is_offered_known_and_wanted(kind, offered, modes, known):
    wishes = Preferences(contacts=dict.fromkeys(known, "+919812345678"), choices={kind: modes})
    reader = Reader(new_id(), wishes, [Hook(new_id(), frozenset()), Hook(new_id(), frozenset({"broadcast"}))])
    made = plan(reader, kind, offered, NOW, timedelta(seconds=5))
    assert made.in_app == (wishes.mode(kind, Channel.IN_APP) is not Mode.OFF)
    for leg in made.legs:
        assert leg.channel in offered
        assert wishes.mode(kind, leg.channel) is not Mode.OFF
        assert leg.channel not in CONTACT_SHAPES or leg.channel in known
        assert (leg.state is State.HELD) == (
            wishes.mode(kind, leg.channel) is Mode.DIGEST and leg.channel is not Channel.WEBHOOK
        )
        assert leg.next_at >= NOW
    assert len({(leg.channel, leg.target_id) for leg in made.legs}) == len(made.legs)
    assert Channel.IN_APP not in {leg.channel for leg in made.legs}


def test_every_kind_reaches_the_inbox_unless_told_otherwise():
    assert all(DEFAULTS[kind][Channel.IN_APP] is Mode.ON for kind in Kind)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_no_address_inside_is_let_through(address):
    try:
        check_address(str(address), allow_loopback=False)
    except RefusedEndpoint:
        return
    assert address.is_global
    assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast))


@given(st.ip_addresses(v=4))
def test_an_inner_address_wrapped_in_the_other_family_is_as_inner(address):
    if address.is_global and not address.is_multicast:
        return
    number = int(address)
    for wrapped in (number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        with pytest.raises(RefusedEndpoint):
            check_address(str(IPv6Address(wrapped)), allow_loopback=False)
    with pytest.raises(RefusedEndpoint):
        check_address(str(IPv4Address(number)), allow_loopback=False)


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(0, 2**31))
def test_a_signature_is_good_for_its_body_secret_and_moment_alone(body, other, now):
    secret = secret_of(b"k" * 32, new_id())
    header = signature(secret, now, body)
    assert is_genuine(secret, header, body, now)
    assert is_genuine(secret, header, other, now) == (body == other)
    assert not is_genuine(secret_of(b"k" * 32, new_id()), header, body, now)
    assert not is_genuine(secret, header, body, now + 301)
    assert not is_genuine(secret, header.removeprefix("t="), b"", now)
