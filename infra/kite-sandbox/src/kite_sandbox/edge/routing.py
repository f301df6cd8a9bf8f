"""One way in for every Kite route: session, limit, fault, command, durability, envelope, log."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from kite_sandbox.clock import utc_text
from kite_sandbox.edge.envelope import failure, success
from kite_sandbox.edge.wire import Hangup
from kite_sandbox.engine.broker import Effects
from kite_sandbox.engine.model import Account
from kite_sandbox.errors import KiteError, input_error, rate_error, token_error
from kite_sandbox.faults import BEFORE, Hit
from kite_sandbox.limits import MAX_ORDERS_A_DAY, Bucket
from kite_sandbox.sandbox import Sandbox

MAX_BODY = 1 << 20
COUNTED_DAILY = frozenset({"place_order", "modify_order"})


@dataclass(slots=True)
class Call:
    """One call of a Kite route, ready to be carried out."""

    sandbox: Sandbox
    request: Request
    now: datetime
    form: Mapping[str, str]
    body: Any = None
    effects: Effects = field(default_factory=Effects)
    maybe_account: Account | None = None

    @property
    def account(self) -> Account:
        """The account of the session."""
        if self.maybe_account is None:
            raise token_error("Incorrect `api_key` or `access_token`.")
        return self.maybe_account

    @property
    def path(self) -> Mapping[str, str]:
        """Path parameters."""
        return self.request.path_params

    def query(self, name: str) -> str | None:
        """A query parameter."""
        return self.request.query_params.get(name)


Handler = Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class KiteRoute:
    """A path of Kite's, the client library's name for it, and the limit it counts against."""

    name: str
    method: str
    path: str
    handler: Handler
    bucket: Bucket = "other"
    is_public: bool = False
    takes_json: bool = False

    def build(self, sandbox: Sandbox) -> Route:
        """The framework's route."""

        async def endpoint(request: Request) -> Response:
            return await _Exchange(self, sandbox, request).run()

        return Route(self.path, endpoint, methods=[self.method])


class _Exchange:
    """One request and its answer."""

    def __init__(self, route: KiteRoute, sandbox: Sandbox, request: Request) -> None:
        self.route = route
        self.sandbox = sandbox
        self.request = request
        self.at = datetime.now(UTC)
        self.access_token = ""

    async def run(self) -> Response:
        try:
            response = await self._answer()
        except KiteError as error:
            response = failure(error)
        await self.sandbox.commit()
        status = 0 if isinstance(response, Hangup) else response.status_code
        self.sandbox.calls.labels(self.route.name, str(status)).inc()
        self.sandbox.request_log.append(
            {
                "at": utc_text(self.at),
                "method": self.request.method,
                "route": self.route.name,
                "path": self.request.url.path,
                "status": status,
            },
        )
        return response

    async def _answer(self) -> Response:
        account = None
        if not self.route.is_public:
            header = self.request.headers.get("authorization")
            account, self.access_token = self.sandbox.logins.authorised(header, self.sandbox.clock.now())
            self._check_limits(account)
        body = await read_body(self.request)
        hit = self.sandbox.faults.take(self.route.name)
        if hit.delay_s:
            await asyncio.sleep(hit.delay_s)
            # The world may have been reset meanwhile; the call is carried out in the one there is now.
            account = self.sandbox.state.accounts[account.api_key] if account else None
        if hit.outcome in BEFORE:
            return self._without_work(hit.outcome, account)
        call = Call(
            self.sandbox,
            self.request,
            self.sandbox.clock.now(),
            form={} if self.route.takes_json else form_fields(body),
            body=json_body(body) if self.route.takes_json else None,
            effects=effects_of(hit),
            maybe_account=account,
        )
        try:
            result = self.route.handler(call)
            response = result if isinstance(result, Response) else success(result)
        except KiteError as error:
            response = failure(error)
        if hit.outcome is None:
            return response
        await self.sandbox.commit()
        return spoil(hit.outcome, response)

    def _check_limits(self, account: Account) -> None:
        if not self.sandbox.limits.take(account.api_key, self.route.bucket):
            raise rate_error()
        is_over = account.requests_today >= MAX_ORDERS_A_DAY and self.sandbox.limits.is_strict
        if self.route.name in COUNTED_DAILY and is_over:
            raise rate_error()

    def _without_work(self, outcome: str, account: Account | None) -> Response:
        if outcome == "timeout_before_accept":
            return Hangup("timeout")
        if outcome == "reset_before_accept":
            return Hangup("reset")
        if outcome == "http_429":
            return failure(rate_error())
        if outcome == "token_expired":
            if account is not None:
                self.sandbox.logins.log_out(account.api_key, self.access_token, self.sandbox.clock.now())
            return failure(token_error("Incorrect `api_key` or `access_token`."))
        return failure(input_error("Refused by the sandbox (fault `refuse`)."))


def effects_of(hit: Hit) -> Effects:
    """What a fault does to the order itself."""
    return Effects(is_rejected=hit.is_rejected, partial=hit.partial, invisible_s=hit.invisible_s)


def spoil(outcome: str, response: Response) -> Response:
    """Lose or falsify an answer after the work was done."""
    body = bytes(response.body)
    wrong: dict[str, Callable[[], Response]] = {
        "timeout_after_accept": lambda: Hangup("timeout"),
        "reset_after_accept": lambda: Hangup("reset"),
        "truncated": lambda: Hangup("truncated", body),
        "http_500": lambda: failure(KiteError(500, "GeneralException", "Something went wrong. Please try again.")),
        "http_400_timed_out": lambda: failure(
            KiteError(400, "OrderException", "Request timed out. Please check the order book before placing again.")
        ),
        "http_502_html": lambda: Response(
            "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
            502,
            media_type="text/html",
        ),
        "redirect": lambda: Response(status_code=302, headers={"location": "/sandbox/redirected"}),
    }
    return wrong[outcome]()


async def read_body(request: Request) -> bytes:
    """The body, up to a megabyte."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise KiteError(413, "InputException", "The request is too large.")
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise input_error("The request ended early.") from error
    return b"".join(chunks)


def form_fields(body: bytes) -> dict[str, str]:
    """Fields of a urlencoded body; a field given twice counts once, the last time."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=100))
    except ValueError:
        raise input_error("The request body could not be read as a form.") from None


def json_body(body: bytes) -> Any:
    """A JSON body with exact numbers, or 400."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise input_error("The request body is not valid JSON.") from None


def _refuse(name: str) -> None:
    raise ValueError(name)
