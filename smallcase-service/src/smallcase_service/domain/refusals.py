"""What this service refuses, with stable codes."""

from collections.abc import Mapping
from typing import Any

from saras_common.errors import CallerError, Conflict, ServiceError


class SmallcaseInvalid(CallerError):
    """``errors`` names every issue."""

    code, status, title = "smallcase_invalid", 422, "The smallcase is not valid"


class WeightsDoNotSum(CallerError):
    code, status, title = "weights_do_not_sum", 422, "The weights must sum to exactly 100 %"


class BoundsCannotHold(CallerError):
    code, status, title = "weight_bounds_cannot_hold", 422, "No weights fit within the floors and caps"


class SharesIssuedUnknown(CallerError):
    """Market-cap weighting needs issued shares; ``errors`` names the instruments without."""

    code, status, title = "shares_issued_unknown", 422, "Issued shares of some instruments are not known"


class HistoryTooShort(CallerError):
    """A weighting or a suggestion needs more past prices; ``errors`` names the instruments."""

    code, status, title = "history_too_short", 422, "There is not enough price history"


class AmountTooSmall(CallerError):
    code, status, title = "amount_too_small", 422, "The amount is below the minimum investment"


class AmountTooLarge(CallerError):
    code, status, title = "amount_too_large", 422, "A basket is worth no more than can be planned exactly"


class PriceUnknown(CallerError):
    code, status, title = "price_unavailable", 422, "There is no price yet"


class NothingHeld(CallerError):
    code, status, title = "nothing_held", 422, "There is nothing to sell in this basket"


class NothingToDo(Conflict):
    code, title = "nothing_to_do", "The basket needs nothing"


class RunInProgress(Conflict):
    code, title = "run_in_progress", "Another run on this basket is still working"


class RunEnded(Conflict):
    code, title = "run_ended", "The run is over"


class StillInvested(Conflict):
    code, title = "still_invested", "People are invested in this smallcase"


class SuggestionsNotInstalled(ServiceError):
    code, status, title = "suggestions_not_installed", 501, "Suggestions are not part of this installation"


class Refused(CallerError):
    """The book's own refusal of a run's orders, passed on as it came."""

    code, status, title = "refused", 422, "The book refused the orders"

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail", "")), errors=list(document.get("errors", ())))
        self.code = str(document.get("code", "refused"))  # type: ignore[misc] # the book's own code
        self.title = str(document.get("title", type(self).title))  # type: ignore[misc] # same
        self.status = int(document.get("status", 422))  # type: ignore[misc] # same
