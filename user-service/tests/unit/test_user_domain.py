"""People, passwords, KYC, keys: what is true of them by themselves."""

from datetime import UTC, date, datetime, timedelta

import pytest

from user_service.domain import keys, kyc, passwords, people
from user_service.domain.keys import KeyState, StoredKey
from user_service.domain.people import KYC_TRANSITIONS, KycStatus
from user_service.passwords import MEMORY_KIB, PASSES, PasswordHasher, common_passwords

NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Asha@Example.COM", "asha@example.com"),
        (" a+b@x.co ", "a+b@x.co"),
        ("o'neil@sub.example.org", "o'neil@sub.example.org"),
    ],
)
def test_addresses_are_stored_in_one_spelling(typed, stored):
    assert people.normalised_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "a@b",
        "a@b.",
        "a@.co",
        "a@b..co",
        "a b@c.co",
        "a@b@c.co",
        "a@-b.co",
        "é@x.co",
        "a@x.c",
        "a\n@x.co",
        "<a@x.co>",
        "a" * 65 + "@x.co",
    ],
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(ValueError, match="email"):
        people.normalised_email(typed)


def test_common_passwords_are_all_long_enough_to_matter():
    common = common_passwords()
    assert len(common) > 1000
    assert all(len(word) >= passwords.MIN_CHARS for word in common)
    assert "password123" in common


@pytest.mark.parametrize(
    "password", ["x" * 9, "x" * 257, "Password123", "ABABABABABAB", "asha@example.com", "ASHA-RAO-THE-FIRST"]
)
def test_weak_passwords_have_a_fault(password):
    fault = passwords.fault_of(
        password, common=common_passwords(), email="asha@example.com", full_name="Asha-Rao-the-First"
    )
    assert fault is not None
    assert password not in fault


def test_any_other_password_is_fine():
    for password in ("plum orchard", "x y" * 20, "z" * 100 + "ab", "1Aé-漢字-long enough"):
        assert passwords.fault_of(password, common=common_passwords(), email="a@b.co", full_name="A") is None


def test_hashes_are_argon2id_as_decided_and_old_ones_are_noticed():
    from passlib.hash import argon2

    hasher = PasswordHasher()
    stored = hasher.hash("plum-Orchard-77")
    assert stored.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$")
    assert hasher.verify("plum-Orchard-77", stored)
    assert not hasher.verify("plum-Orchard-78", stored)
    assert not hasher.verify("plum-Orchard-77", None)
    assert not hasher.is_outdated(stored)
    assert hasher.is_outdated(argon2.using(type="ID", memory_cost=8, time_cost=1, parallelism=1).hash("x"))


def test_an_unknown_user_costs_a_hash(monkeypatch):
    class Counting:
        calls = 0

        def hash(self, password):
            return password

        def verify(self, password, stored):
            self.calls += 1
            return password == stored

    scheme = Counting()
    hasher = PasswordHasher(scheme)
    assert not hasher.verify(hasher._dummy, None)
    assert scheme.calls == 1


@pytest.mark.parametrize(
    ("text", "shown"), [("ABCPE1234F", "XXXXXX234F"), ("12345678", "XXXXXXXX"), ("123456789", "XXXXX6789"), ("", "")]
)
def test_masks_show_the_end_of_long_texts_alone(text, shown):
    assert kyc.masked(text) == shown


def test_age_counts_completed_years():
    born = date(2008, 3, 2)
    assert kyc.age_years(born, date(2026, 3, 1)) == 17
    assert kyc.age_years(born, date(2026, 3, 2)) == 18
    assert kyc.age_years(date(2004, 2, 29), date(2026, 2, 28)) == 21


def test_details_do_not_show_themselves():
    details = kyc.KycDetails("ABCPE1234F", date(1990, 5, 17), "12 Lake Road", "001234567890", "HDFC0000123")
    assert "ABCPE1234F" not in repr(details)


def test_every_kyc_state_leads_back_to_pending():
    assert set(KYC_TRANSITIONS) == set(KycStatus)
    assert all(KycStatus.PENDING in following for following in KYC_TRANSITIONS.values())
    approved_from = {state for state, following in KYC_TRANSITIONS.items() if KycStatus.APPROVED in following}
    assert approved_from == {KycStatus.PENDING}


def key(kid, signs_from, replaced_at=None, state=KeyState.ACTIVE):
    return StoredKey(kid, state, b"", signs_from, replaced_at)


def test_the_newest_key_whose_time_has_come_signs():
    old = key("old", NOW - timedelta(days=1), NOW + timedelta(seconds=30), KeyState.PREVIOUS)
    new = key("new", NOW + timedelta(seconds=30))
    assert keys.signing([old, new], NOW) == old
    assert keys.signing([old, new], NOW + timedelta(seconds=30)) == new
    assert keys.published([old, new], NOW) == [new, old]
    assert keys.published([old, new], NOW + timedelta(seconds=31) + keys.VERIFY_TAIL) == [new]
    assert keys.signing([], NOW) is None


def test_a_key_is_due_by_age_or_when_there_is_none():
    assert keys.is_due([], NOW, timedelta.max)
    assert not keys.is_due([key("k", NOW)], NOW, timedelta(days=30))
    assert keys.is_due([key("k", NOW - timedelta(days=31))], NOW, timedelta(days=30))
