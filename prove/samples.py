"""A good call of every operation: what its body, its query and the ids in its path may be."""

from typing import Any

PASSWORD = "seven quiet herons 41"  # noqa: S105 - of users of a platform that lives for minutes

_ORDER = {
    "instrument": "NSE:INFY",
    "quantity": 1,
    "order_type": "LIMIT",
    "price": "1400.00",
    "product": "CNC",
    "validity": "DAY",
}
_BASKET = {
    "name": "Two giants",
    "description": "Half and half",
    "visibility": "private",
    "weighting": "custom",
    "constituents": [{"instrument": "NSE:INFY", "weight": "0.5"}, {"instrument": "NSE:TCS", "weight": "0.5"}],
    "rebalance": {"frequency": "monthly", "drift_band": "0.05"},
}

SAMPLES: dict[str, Any] = {
    f"{method} /api/v1{path}": body
    for (method, path), body in {
        ("POST", "/admin/analytics/close"): {"day": "2026-03-02"},
        ("POST", "/admin/broker/session"): {"request_token": "abcDEF123"},
        ("POST", "/admin/execution/halt"): {"reason": "drill"},
        ("POST", "/admin/execution/resolve"): {"placed": False, "tag": "abcdefghijklmnopqrst"},
        ("POST", "/admin/history/corporate-actions"): {
            "actions": [{"instrument": "NSE:INFY", "ex_day": "2020-03-02", "ratio": "2"}]
        },
        ("POST", "/admin/history/facts"): {
            "facts": [{"instrument": "NSE:INFY", "sector": "IT", "shares_issued": 4150}]
        },
        ("POST", "/admin/history/prices"): {
            "data": {"candles": [["2026-03-02T00:00:00+0530", 1500, 1510, 1490, 1505, 1000]]}
        },
        ("POST", "/admin/mark-price"): {"instrument": "NSE:INFY", "price": "1500.00"},
        ("POST", "/admin/notifications/broadcast"): {"title": "Tonight", "body": "We are away from ten to eleven."},
        ("POST", "/admin/reconciliation/clear"): {"instruments": ["NSE:INFY"]},
        ("POST", "/admin/trades/rejected/{rejected_id}/replay"): {
            "instrument": "NSE:INFY",
            "quantity": 1,
            "side": "BUY",
        },
        ("PATCH", "/admin/users/{user_id}"): {"status": "active"},
        ("POST", "/admin/users/{user_id}/kyc/reject"): {"reason": "blurred"},
        ("POST", "/alerts"): {"condition": "above", "instrument": "NSE:INFY", "price": "2000.00"},
        ("POST", "/broker/postback"): {
            "order_id": "260302000000001",
            "order_timestamp": "2026-03-02 09:15:00",
            "checksum": "0" * 64,
        },
        ("POST", "/buy"): _ORDER,
        ("POST", "/sell"): {**_ORDER, "price": "1600.00"},
        ("POST", "/orders/batch"): {"orders": [{**_ORDER, "side": "BUY"}, {**_ORDER, "side": "BUY"}], "atomic": True},
        ("POST", "/funds/deposit"): {"amount": "10.00"},
        ("POST", "/funds/withdraw"): {"amount": "1.00"},
        ("PATCH", "/investments/{investment_id}"): {"auto_repair_budget": "100"},
        ("POST", "/login"): {"email": "nobody@door.example.com", "password": PASSWORD, "totp_code": "000000"},
        ("PATCH", "/me"): {"full_name": "New Name", "phone": "+919812345678"},
        ("PUT", "/me/kyc"): {
            "pan": "ABCPE1234F",
            "date_of_birth": "1990-01-31",
            "address": "12 MG Road, Pune 411001",
            "bank_account": "123456789012",
            "ifsc": "HDFC0001234",
        },
        ("POST", "/me/password"): {"current_password": "not the password", "new_password": "another fine phrase 9"},
        ("POST", "/me/totp/confirm"): {"code": "000000"},
        ("POST", "/me/totp/disable"): {"code": "000000"},
        ("PUT", "/notifications/preferences"): {
            "events": {"order_filled": {"email": True}},
            "contacts": {"email": "me@door.example.com"},
            "language": "en",
            "time_zone": "Asia/Kolkata",
            "digest_at": "08:00",
            "quiet_hours": {"start": "22:00", "end": "07:00"},
        },
        ("POST", "/portfolio"): {"name": "Second", "benchmark": "NSE:NIFTY 50"},
        ("POST", "/register"): {"email": "hostile@door.example.com", "password": PASSWORD, "full_name": "H"},
        ("POST", "/reports"): {"name": "positions", "date": "2026-03-02"},
        ("POST", "/smallcase"): _BASKET,
        ("PUT", "/smallcase/{smallcase_id}"): _BASKET,
        ("POST", "/smallcase/{smallcase_id}/what-if"): _BASKET,
        ("POST", "/smallcase/{smallcase_id}/exit"): {"fraction": "0.5"},
        ("POST", "/smallcase/{smallcase_id}/invest"): {"amount": "50000.00"},
        ("POST", "/smallcase/{smallcase_id}/preview"): {"action": "invest", "amount": "50000.00"},
        ("POST", "/smallcase/{smallcase_id}/rebalance"): {"full": True},
        ("POST", "/smallcase/{smallcase_id}/repair"): {},
        ("POST", "/smallcase/{smallcase_id}/sip"): {
            "amount": "50000.00",
            "frequency": "monthly",
            "start_on": "2036-01-31",
        },
        ("POST", "/smallcases/suggestions"): {"amount": "100000", "risk": "low", "exclude": ["NSE:TCS"]},
        ("POST", "/token/refresh"): {"refresh_token": "x" * 43},
        ("POST", "/trades"): {
            "instrument": "NSE:INFY",
            "side": "BUY",
            "quantity": 1,
            "price": "1500.00",
            "traded_at": "2026-03-02T09:15:00Z",
        },
        ("POST", "/webhooks"): {"url": "https://hooks.example.com/a", "kinds": ["order_filled"]},
    }.items()
}

GOOD_QUERIES = {
    "GET /api/v1/quotes": {"instruments": "NSE:INFY,NSE:TCS"},
    "GET /api/v1/instruments": {"q": "INFY"},
    "GET /api/v1/smallcases": {"q": "giants"},
}

_KINDS = (
    *("order_id", "portfolio_id", "batch_id", "user_id", "movement_id", "rejected_id", "alert_id", "session_id"),
    *("investment_id", "run_id", "notification_id", "report_id", "sip_id", "smallcase_id", "webhook_id"),
)
GOOD_IDS = {"instrument": "NSE:INFY", "name": "positions"} | {
    kind: f"01a1fd5b-4bfe-7409-b14f-0000000000{number:02d}" for number, kind in enumerate(_KINDS)
}
"""Well formed, and nobody's: each stands for an id of its kind, and whoever calls may put one of its own there."""
