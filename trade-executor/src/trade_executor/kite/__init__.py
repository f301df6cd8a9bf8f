"""Kite Connect, or the sandbox: one client a thread, never in debug mode, which would log the token."""

from trade_executor.kite.broker import KiteBroker
from trade_executor.kite.login import log_in, login_url, sandbox_request_token
from trade_executor.kite.wire import Login

__all__ = ["KiteBroker", "Login", "log_in", "login_url", "sandbox_request_token"]
