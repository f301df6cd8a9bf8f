"""Wrong turns at the doors: of the token check, of sessions, of ownership."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from prove.bugs.catalogue import Shelf, Swap

import portfolio_service.store.orders
import user_service.usecases.sessions
from api_gateway.sessions import Revocations
from portfolio_service.domain.views import OrderView
from portfolio_service.store import funds as stored_funds
from portfolio_service.store import idempotency
from portfolio_service.store.arrays import rows_of
from portfolio_service.usecases import orders
from saras_common.auth import access, claims, compact, internal
from saras_common.db import Database
from saras_common.errors import Forbidden, NotFound
from saras_common.web import StrictRequest
from user_service.domain.sessions import Refresh, decide_refresh
from user_service.passwords import PasswordHasher
from user_service.store import totp

token_bug = Shelf("tokens")
session_bug = Shelf("sessions")
stranger_bug = Shelf("strangers")

FINDS: dict[str, tuple[str, ...]] = {
    "an expired token is good": ("age: ",),
    "a token from the future is good": ("claim: iat=", "claim: nbf="),
    "true counts as a number": ("claim: iat='True'", "claim: ver='True'", "claim: nbf='True'"),
    "any kind of token opens the door": ("claim: typ=",),
    "a token for somebody else's service opens the door": ("claim: aud=",),
    "any issuer will do": ("claim: iss=",),
    "the signature is not looked at": ("claims: ", "base64: one bit of signature", "kid: "),
    "both forms of a signature are good": ("signature: the other s",),
    "one text in base64 is as good as another": ("base64: ",),
    "fields of the header nobody knows are passed over": ("genuine header with ", "header: "),
    "of two fields with one name the last counts": ("body: sub twice", "body: roles twice"),
    "ended sessions are not asked about": ("state: ",),
}
"""Bug of the token check → the knocks that find it."""


def _read_by(check: Callable[[Mapping[str, Any], Any, str, float], Any]) -> list[Swap]:
    return [(access, "identity_of", check)]


@token_bug("an expired token is good")
def _expired() -> list[Swap]:
    return _read_by(lambda told, terms, audience, _now: claims.identity_of(told, terms, audience, float(told["iat"])))


@token_bug("a token from the future is good")
def _future() -> list[Swap]:
    return [(claims, "CLOCK_SKEW_S", 10**9)]


@token_bug("true counts as a number")
def _true() -> list[Swap]:
    def whole(told: Mapping[str, Any], name: str) -> int:
        if not isinstance(told.get(name), int):
            raise compact.InvalidToken
        return int(told[name])

    return [(claims, "_whole", whole)]


@token_bug("any kind of token opens the door")
def _kind() -> list[Swap]:
    return _read_by(
        lambda told, terms, audience, now: claims.identity_of({**told, "typ": "access"}, terms, audience, now)
    )


@token_bug("a token for somebody else's service opens the door")
def _audience() -> list[Swap]:
    return _read_by(
        lambda told, terms, audience, now: claims.identity_of({**told, "aud": audience}, terms, audience, now)
    )


@token_bug("any issuer will do")
def _issuer() -> list[Swap]:
    return _read_by(
        lambda told, terms, audience, now: claims.identity_of(told, replace(terms, issuer=told["iss"]), audience, now)
    )


class _AnyKey:
    def verify(self, *_: Any) -> bool:
        return True


@token_bug("the signature is not looked at")
def _signature() -> list[Swap]:
    read = compact.read

    def wrong(token: str, algorithm: str, _find: Any, *, with_kid: bool) -> dict[str, Any]:
        return read(token, algorithm, lambda _kid: cast("compact.Key", _AnyKey()), with_kid=with_kid)

    return [(compact, "read", wrong)]


@token_bug("both forms of a signature are good")
def _malleable() -> list[Swap]:
    return [(compact, "_check_signature_form", lambda *_: None)]


@token_bug("one text in base64 is as good as another")
def _lenient() -> list[Swap]:
    return [
        (compact, "_decode", lambda part: base64.urlsafe_b64decode(part.rstrip("=") + "=" * (-len(part) % 4))),
        (compact, "_SHAPE", re.compile(r"[^.]+\.[^.]+\.[^.]+")),
    ]


@token_bug("fields of the header nobody knows are passed over")
def _header() -> list[Swap]:
    read = compact._json_object  # noqa: SLF001 - a bug goes where it would be made

    def wrong(raw: bytes) -> dict[str, Any]:
        found = read(raw)
        return {name: found[name] for name in ("alg", "kid", "typ") if name in found} if "alg" in found else found

    return [(compact, "_json_object", wrong)]


@token_bug("of two fields with one name the last counts")
def _twice() -> list[Swap]:
    return [(compact, "_json_object", json.loads)]


@token_bug("ended sessions are not asked about")
def _ended() -> list[Swap]:
    return [(Revocations, "check", lambda *_: None)]


@token_bug("a service believes tokens made for another")
def _inside() -> list[Swap]:
    return [
        (
            internal,
            "identity_of",
            lambda told, terms, audience, now: claims.identity_of({**told, "aud": audience}, terms, audience, now),
        )
    ]


@session_bug("a refresh token shown twice is refused and no more")
def _no_revocation() -> list[Swap]:
    def wrong(*state: Any) -> Refresh:
        found = decide_refresh(*state)
        return Refresh.REFUSE if found is Refresh.REVOKE else found

    return [(user_service.usecases.sessions, "decide_refresh", wrong)]


@session_bug("every showing of a refresh token buys a successor")
def _many_successors() -> list[Swap]:
    def wrong(*state: Any) -> Refresh:
        found = decide_refresh(*state)
        return Refresh.ROTATE if found is Refresh.REPEAT else found

    return [(user_service.usecases.sessions, "decide_refresh", wrong)]


@session_bug("a code may be used again")
def _code_again() -> list[Swap]:
    return [(totp, "take_step", lambda *_: True)]


@session_bug("who is not there costs no hash")
def _quick() -> list[Swap]:
    verify = PasswordHasher.verify

    def wrong(self: PasswordHasher, password: str, stored: str | None) -> bool:
        return stored is not None and verify(self, password, stored)

    return [(PasswordHasher, "verify", wrong)]


# --- ownership


def _of_anybody(session: Any, order_id: Any) -> OrderView | None:
    return portfolio_service.store.orders.list_views(session, [str(order_id)]).get(str(order_id))


def _service_scope() -> Swap:
    return (Database, "for_users", lambda self, *_: self.for_service())


@stranger_bug("an order is found by its id alone")
def _no_owner() -> list[Swap]:
    return [
        _service_scope(),
        (portfolio_service.store.orders, "find_view", lambda s, _user, order: _of_anybody(s, order)),
    ]


@stranger_bug("an order of others is forbidden, not absent")
def _oracle() -> list[Swap]:
    def wrong(session: Any, user_id: Any, order_id: Any) -> OrderView:
        view = _of_anybody(session, order_id)
        if view is None:
            raise NotFound
        if view.user_id != str(user_id):
            raise Forbidden
        return view

    return [_service_scope(), (orders, "get_order", wrong)]


@stranger_bug("a list is everybody's")
def _whole_list() -> list[Swap]:
    page = stored_funds.list_movements
    return [
        _service_scope(),
        (stored_funds, "list_movements", lambda session, _user, **terms: page(session, None, **terms)),
    ]


@stranger_bug("an idempotency key is the platform's, not a user's")
def _shared_keys() -> list[Swap]:
    find = idempotency.find_answers

    def wrong(session: Any, keys: Any) -> Any:
        found = rows_of(session, "SELECT DISTINCT user_id::text FROM idempotency_keys")
        everybody = {row[0] for row in found}
        answers = find(session, [(user, key) for user in everybody for _, key in keys])
        return {(user, key): kept for user, key in keys for (_, other), kept in answers.items() if other == key}

    return [_service_scope(), (idempotency, "find_answers", wrong)]


@stranger_bug("fields nobody asked for are passed over")
def _extra() -> list[Swap]:
    """As a model that is not strict would read a body: what it does not know it leaves out."""
    read = StrictRequest.json

    async def wrong(self: StrictRequest) -> Any:
        found = await read(self)
        return {"amount": found["amount"]} if isinstance(found, dict) and "amount" in found else found

    return [(StrictRequest, "json", wrong)]
