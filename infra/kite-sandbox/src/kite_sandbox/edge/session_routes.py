"""Logging in and out, and who is logged in."""

from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

from kite_sandbox.clock import ist_text
from kite_sandbox.edge.envelope import plain
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import commodity_margin_view, equity_margin_view
from kite_sandbox.engine.model import OrderType, Product, Session
from kite_sandbox.errors import input_error

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Kite sandbox login</title></head>
<body>
<h1>Kite sandbox</h1>
<p>Logged in as <b>{user_id}</b> for the app <b>{api_key}</b>. No password: nothing here is real.</p>
<p>One-time request token, good for ten minutes:</p>
<p><code id="request_token">{token}</code></p>
</body>
</html>
"""


def required(call: Call, name: str) -> str:
    """A form field that must be there, or 400."""
    value = call.form.get(name)
    if not value:
        raise input_error(f"Missing or empty field `{name}`")
    return value


def login_page(call: Call) -> Response:
    """``GET /connect/login``: a request token, as a page or as JSON."""
    api_key = call.query("api_key") or ""
    token = call.sandbox.logins.request_token(api_key, call.now)
    if "application/json" in call.request.headers.get("accept", ""):
        return plain({"status": "success", "data": {"request_token": token}, "request_token": token})
    user_id = call.sandbox.state.accounts[api_key].user_id
    return HTMLResponse(PAGE.format(user_id=escape(user_id), api_key=escape(api_key), token=token))


def generate_session(call: Call) -> dict[str, Any]:
    """``POST /session/token``."""
    session = call.sandbox.logins.log_in(
        required(call, "api_key"),
        required(call, "request_token"),
        required(call, "checksum"),
        call.now,
    )
    return _session_view(call, session)


def renew_session(call: Call) -> dict[str, Any]:
    """``POST /session/refresh_token``."""
    session = call.sandbox.logins.renew(
        required(call, "api_key"),
        required(call, "refresh_token"),
        required(call, "checksum"),
        call.now,
    )
    return _session_view(call, session)


def end_session(call: Call) -> bool:
    """``DELETE /session/token``."""
    api_key = call.query("api_key") or ""
    access_token = call.query("access_token")
    refresh_token = call.query("refresh_token")
    account = call.sandbox.state.accounts.get(api_key)
    for session in list(account.sessions.values()) if account else []:
        if session.access_token == access_token or session.refresh_token == refresh_token:
            call.sandbox.logins.log_out(api_key, session.access_token, call.now)
    return True


def _session_view(call: Call, session: Session) -> dict[str, Any]:
    return {
        **_user_view(call, call.sandbox.state.accounts[session.api_key].user_id),
        "api_key": session.api_key,
        "access_token": session.access_token,
        "public_token": session.public_token,
        "enctoken": session.public_token,
        "refresh_token": session.refresh_token,
        "silo": "",
        "login_time": ist_text(session.login_at),
    }


def _user_view(call: Call, user_id: str) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "user_type": "individual",
        "email": f"{user_id.lower()}@sandbox.invalid",
        "user_name": f"Sandbox {user_id}",
        "user_shortname": "Sandbox",
        "broker": "ZERODHA",
        "exchanges": sorted(call.sandbox.catalogue.exchanges()),
        "products": [product.value for product in Product],
        "order_types": [kind.value for kind in OrderType],
        "avatar_url": None,
        "meta": {"demat_consent": "consent"},
    }


def profile(call: Call) -> dict[str, Any]:
    """``GET /user/profile``."""
    return _user_view(call, call.account.user_id)


def full_profile(call: Call) -> dict[str, Any]:
    """``GET /user/profile/full``."""
    return {
        **profile(call),
        "twofa_type": "totp",
        "phone": "*0000",
        "bank_accounts": [{"name": "SANDBOX BANK", "branch": "", "account": "*0000"}],
        "dp_ids": ["0000000000000000"],
        "pan": "*000X",
        "tags": [],
        "password_timestamp": "1970-01-01 00:00:00",
        "twofa_timestamp": "1970-01-01 00:00:00",
        "meta": {"poa": "digital", "silo": "", "account_blocks": []},
    }


def margins(call: Call) -> dict[str, Any]:
    """``GET /user/margins`` and ``/user/margins/{segment}``."""
    segments = {"equity": equity_margin_view(call.account), "commodity": commodity_margin_view()}
    segment = call.path.get("segment")
    if segment is None:
        return segments
    if segment not in segments:
        raise input_error("Invalid `segment`.")
    return segments[segment]


ROUTES = (
    KiteRoute("session", "GET", "/connect/login", login_page, "none", is_public=True),
    KiteRoute("session", "POST", "/session/token", generate_session, "none", is_public=True),
    KiteRoute("session", "DELETE", "/session/token", end_session, "none", is_public=True),
    KiteRoute("session", "POST", "/session/refresh_token", renew_session, "none", is_public=True),
    KiteRoute("profile", "GET", "/user/profile", profile),
    KiteRoute("profile", "GET", "/user/profile/full", full_profile),
    KiteRoute("margins", "GET", "/user/margins", margins),
    KiteRoute("margins", "GET", "/user/margins/{segment}", margins),
)
