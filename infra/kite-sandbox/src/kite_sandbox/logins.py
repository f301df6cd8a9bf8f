"""Logging in as Kite has it: a one-time request token, exchanged with a checksum for a token that dies at 06:00 IST."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from kite_sandbox.clock import token_expiry
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.model import Account, Session
from kite_sandbox.errors import input_error, token_error
from kite_sandbox.settings import AccountSettings

REQUEST_TOKEN_LIFE = timedelta(minutes=10)
MAX_REQUEST_TOKENS = 1_000
TOKEN_BYTES = 16


def checksum(*parts: str) -> str:
    """SHA-256 of the parts, as Kite signs logins and postbacks."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


class Logins:
    """Sessions of all accounts. Several may live side by side, so that a test can look over a client's shoulder."""

    def __init__(self, accounts: Iterable[AccountSettings], broker: Broker) -> None:
        self._secrets = {account.api_key: account.secret for account in accounts}
        self.broker = broker
        self._request_tokens: dict[str, tuple[str, datetime]] = {}

    def secret_of(self, api_key: str) -> str:
        """The API secret of an account; empty when the settings no longer name it."""
        return self._secrets.get(api_key, "")

    def request_token(self, api_key: str | None, now: datetime) -> str:
        """A token to log in with once, within ten minutes."""
        if api_key not in self._secrets:
            raise input_error("Invalid `api_key`.")
        while len(self._request_tokens) >= MAX_REQUEST_TOKENS:
            del self._request_tokens[next(iter(self._request_tokens))]
        token = secrets.token_hex(TOKEN_BYTES)
        self._request_tokens[token] = (api_key, now + REQUEST_TOKEN_LIFE)
        return token

    def log_in(self, api_key: str, request_token: str, signature: str, now: datetime) -> Session:
        """Exchange a request token; 403 when it is spent, foreign, or the checksum is wrong."""
        self._check(api_key, request_token, signature)
        owner, expires_at = self._request_tokens.pop(request_token, (None, now))
        if owner != api_key or expires_at <= now:
            raise token_error("Token is invalid or has expired.")
        return self._start(api_key, now)

    def renew(self, api_key: str, refresh_token: str, signature: str, now: datetime) -> Session:
        """A new session for a refresh token, which is spent by it."""
        self._check(api_key, refresh_token, signature)
        account = self.broker.state.accounts[api_key]
        for session in account.sessions.values():
            if hmac.compare_digest(session.refresh_token.encode(), refresh_token.encode()):
                self.log_out(api_key, session.access_token, now)
                return self._start(api_key, now)
        raise token_error("Token is invalid or has expired.")

    def _check(self, api_key: str, token: str, signature: str) -> None:
        if api_key not in self._secrets:
            raise token_error("Invalid `api_key`.")
        expected = checksum(api_key, token, self._secrets[api_key])
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise token_error("Invalid `checksum`.")

    def _start(self, api_key: str, now: datetime) -> Session:
        account = self.broker.state.accounts[api_key]
        access_token = secrets.token_hex(TOKEN_BYTES)
        self.broker.emit(
            r.SessionStarted(
                at=now,
                api_key=api_key,
                access_token=access_token,
                refresh_token=secrets.token_hex(TOKEN_BYTES),
                public_token=secrets.token_hex(TOKEN_BYTES),
                expires_at=token_expiry(now),
            ),
        )
        return account.sessions[access_token]

    def log_out(self, api_key: str, access_token: str, now: datetime) -> None:
        """End a session; it is no error when there is none."""
        account = self.broker.state.accounts.get(api_key)
        if account is not None and access_token in account.sessions:
            self.broker.emit(r.SessionEnded(at=now, api_key=api_key, access_token=access_token))

    def find_account(self, api_key: str, access_token: str, now: datetime) -> Account | None:
        """The account of a living session."""
        account = self.broker.state.accounts.get(api_key)
        session = account.sessions.get(access_token) if account else None
        return account if session is not None and session.expires_at > now else None

    def authorised(self, header: str | None, now: datetime) -> tuple[Account, str]:
        """The account and access token of ``Authorization: token api_key:access_token``; 403 otherwise."""
        scheme, _, credentials = (header or "").partition(" ")
        api_key, _, access_token = credentials.strip().partition(":")
        account = self.find_account(api_key, access_token, now) if scheme == "token" else None
        if account is None:
            raise token_error("Incorrect `api_key` or `access_token`.")
        return account, access_token
