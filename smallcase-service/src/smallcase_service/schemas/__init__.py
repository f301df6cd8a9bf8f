"""HTTP bodies: what comes in, and the shapes that go out."""

from smallcase_service.schemas.answers import (
    InvestmentOut,
    PerformanceOut,
    PreviewOut,
    RunOut,
    SipOut,
    SmallcaseOut,
    StartedOut,
    SuggestionsOut,
    VersionOut,
    WhatIfOut,
)
from smallcase_service.schemas.bodies import (
    ExitIn,
    InvestIn,
    InvestmentChange,
    PreviewIn,
    RebalanceRunIn,
    RepairIn,
    SipIn,
    SmallcaseIn,
    SuggestionIn,
)

__all__ = [
    "ExitIn",
    "InvestIn",
    "InvestmentChange",
    "InvestmentOut",
    "PerformanceOut",
    "PreviewIn",
    "PreviewOut",
    "RebalanceRunIn",
    "RepairIn",
    "RunOut",
    "SipIn",
    "SipOut",
    "SmallcaseIn",
    "SmallcaseOut",
    "StartedOut",
    "SuggestionIn",
    "SuggestionsOut",
    "VersionOut",
    "WhatIfOut",
]
