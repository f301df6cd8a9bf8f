"""Why the book says no, by code. An order refused here leaves no trace in the ledger."""

from saras_common.errors import CallerError, Conflict


class Refused(CallerError):
    """An order or a movement of funds that is not accepted."""

    code, status, title = "refused", 422, "Not accepted"


class InsufficientFunds(Refused):
    code, title = "insufficient_funds", "Not enough available cash"


class InsufficientHoldings(Refused):
    code, title = "insufficient_holdings", "Not enough available shares in this portfolio"


class UnknownInstrument(Refused):
    code, title = "unknown_instrument", "No such instrument"


class InstrumentBlocked(Refused):
    code, title = "instrument_blocked", "Buying this instrument is stopped for the moment"


class PriceOffTick(Refused):
    code, title = "price_off_tick", "The price is not a multiple of the tick"


class QuantityOffLot(Refused):
    code, title = "quantity_off_lot", "The quantity is not a multiple of the lot"


class LimitBreached(Refused):
    code, title = "limit_breached", "Over a limit"


class PriceUnavailable(Refused):
    code, title = "price_unavailable", "There is no price for this instrument yet"


class PricesDoNotFit(Refused):
    """A price where the order type has none, or none where it needs one."""

    code, title = "invalid_input", "The prices do not fit the order type"


class KycRequired(Refused):
    code, title = "kyc_required", "Orders need an approved KYC"


class UserDisabled(Refused):
    code, title = "user_disabled", "This account is disabled"


class OrderEnded(Conflict):
    title = "The order has ended"


class MovementDecided(Conflict):
    title = "The movement has been decided"


class NameTaken(Conflict):
    code, title = "name_taken", "There is a portfolio of this name"
