"""The guard before live mode: real orders, real money, other people's rules."""

from rich.console import Console

from saras.errors import CannotStart
from saras.settings import PlatformSettings

WARNING = """\
[bold red]LIVE MODE: orders go to the real market with real money.[/]
A retail Kite account may not hold other people's money, and order calls need a registered static IP.
This mode is for licensed operators, families and one's own accounts. You are responsible for what it sends."""


def confirm_live(settings: PlatformSettings, console: Console, *, is_licensed: bool) -> None:
    """Print the warning; `CannotStart` unless live mode was asked for twice: by SARAS_MODE and by the flag."""
    if settings.mode != "live":
        if is_licensed:
            raise CannotStart("--i-am-licensed is for live mode only: set SARAS_MODE=live as well")
        return
    console.print(WARNING, highlight=False)
    if not (is_licensed or settings.live_confirmed):
        raise CannotStart(
            "live mode must be confirmed: `saras up --i-am-licensed` or SARAS_LIVE_CONFIRMED=yes, "
            "if the above is true of you"
        )
    if settings.kite_accounts is None:
        raise CannotStart("live mode needs the broker accounts: KITE_ACCOUNTS=main:api_key:secret")
