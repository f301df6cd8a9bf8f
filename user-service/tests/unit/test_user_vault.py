"""Sealing."""

import base64

import pytest

from user_service.vault import Unreadable, Vault

OLD, NEW = b"o" * 32, b"n" * 32


def test_what_is_sealed_opens_at_its_place_alone():
    vault = Vault([NEW])
    sealed = vault.seal(b"ABCPE1234F", "kyc:1")
    assert b"ABCPE" not in sealed
    assert vault.open(sealed, "kyc:1") == b"ABCPE1234F"
    with pytest.raises(Unreadable):
        vault.open(sealed, "kyc:2")


def test_the_same_text_never_looks_the_same():
    vault = Vault([NEW])
    assert len({vault.seal(b"x", "p") for _ in range(100)}) == 100


def test_keys_are_replaced_without_losing_old_rows():
    sealed = Vault([OLD]).seal(b"x", "p")
    assert Vault([NEW, OLD]).open(sealed, "p") == b"x"
    assert Vault([NEW]).open(Vault([NEW, OLD]).seal(b"y", "p"), "p") == b"y"
    with pytest.raises(Unreadable):
        Vault([NEW]).open(sealed, "p")


def test_every_changed_byte_is_noticed():
    vault = Vault([NEW])
    sealed = vault.seal(b"ABCPE1234F", "p")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(Unreadable):
            vault.open(bytes(changed), "p")


@pytest.mark.parametrize("sealed", [b"", b"x", b"\x01" * 20])
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(Unreadable):
        Vault([NEW]).open(sealed, "p")


def test_keys_come_from_the_setting():
    text = ",".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    assert Vault.from_text(text).open(Vault([OLD]).seal(b"x", "p"), "p") == b"x"
    for bad in ("", "AAAA", "not base64!", text + ","):
        with pytest.raises(ValueError, match=r"32 bytes|base64|padding"):
            Vault.from_text(bad)
