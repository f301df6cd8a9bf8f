"""From the facts of a message to the few figures its words need."""

from collections.abc import Mapping
from typing import Any

from notification_service.domain.kinds import Kind

SHOWN = 5
"""Names and lines written out; the rest is a number."""

_WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "en": {"BUY": ("buy", "bought"), "SELL": ("sell", "sold")},
    "hi": {"BUY": ("खरीदने", "खरीदे गए"), "SELL": ("बेचने", "बेचे गए")},
}


def figures(kind: Kind, data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """What a template calls ``v``."""
    if "orders" in data:
        return _orders(data["orders"], language)
    if kind is Kind.ALLOCATION:
        lines = [{"name": name, **line} for name, line in sorted(data["lines"].items())]
        return _shown(lines)
    return dict(data)


def digest_figures(messages: list[dict[str, str]]) -> dict[str, Any]:
    """The same for a digest of messages already in words."""
    return _shown(messages, 50)


def _shown(lines: list[dict[str, Any]], limit: int = SHOWN) -> dict[str, Any]:
    return {"count": len(lines), "lines": lines[:limit], "more": max(0, len(lines) - limit)}


def _orders(orders: Mapping[str, Any], language: str) -> dict[str, Any]:
    listed = [orders[key] for key in sorted(orders)]
    names = sorted({order["instrument"] for order in listed})
    verb, done = _WORDS[language][listed[0]["side"]]
    full = sum(order["status"] == "FILLED" for order in listed)
    return {
        "count": len(listed),
        "first": {**listed[0], "verb": verb, "done": done},
        "full": full,
        "partly": len(listed) - full,
        "names": ", ".join(names[:SHOWN]) + (f" +{len(names) - SHOWN}" if len(names) > SHOWN else ""),
        "bought_paise": sum(order["value_paise"] for order in listed if order["side"] == "BUY"),
        "sold_paise": sum(order["value_paise"] for order in listed if order["side"] == "SELL"),
        "charges_paise": sum(order["charges_paise"] for order in listed),
    }
