import io

import pytest
from rich.console import Console

from saras.errors import CannotStart
from saras.live import confirm_live
from saras.settings import PlatformSettings


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def test_sandbox_mode_asks_nothing(console):
    confirm_live(PlatformSettings(mode="sandbox"), console, is_licensed=False)
    assert console.file.getvalue() == ""


def test_live_mode_alone_is_refused_with_the_warning(console):
    with pytest.raises(CannotStart, match="--i-am-licensed"):
        confirm_live(PlatformSettings(mode="live"), console, is_licensed=False)
    assert "may not hold other people's money" in console.file.getvalue()


@pytest.mark.parametrize(("confirmed", "flag"), [(True, False), (False, True)])
def test_live_mode_confirmed_still_warns(console, confirmed, flag):
    settings = PlatformSettings(mode="live", live_confirmed=confirmed, kite_accounts="main:key:secret")
    confirm_live(settings, console, is_licensed=flag)
    assert "licensed operators" in console.file.getvalue()


def test_the_flag_without_live_mode_is_a_mistake(console):
    with pytest.raises(CannotStart, match="SARAS_MODE=live"):
        confirm_live(PlatformSettings(mode="sandbox"), console, is_licensed=True)


def test_live_mode_needs_an_account(console, monkeypatch):
    monkeypatch.delenv("KITE_ACCOUNTS", raising=False)
    with pytest.raises(CannotStart, match="KITE_ACCOUNTS"):
        confirm_live(PlatformSettings(mode="live"), console, is_licensed=True)
