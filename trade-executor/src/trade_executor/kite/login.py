"""The daily login."""

from urllib.parse import urljoin

import requests
from kiteconnect import KiteConnect

from trade_executor.broker import (
    Because,
    BrokerUnavailable,
)
from trade_executor.kite.wire import Login, WireError, WireKite


def log_in(login: Login, request_token: str, secret: str) -> str:
    """Exchange a request token for the day's access token; `BrokerUnavailable` when the broker refuses."""
    try:
        session = WireKite(login).generate_session(request_token, secret)
        return str(session["access_token"])
    except WireError as error:
        raise BrokerUnavailable(str(error), Because.REFUSED) from None
    except (KeyError, TypeError, ValueError) as error:
        raise BrokerUnavailable("the login answer is not what was expected") from error


def sandbox_request_token(login: Login) -> str:
    """A request token from the sandbox's login page, which asks nobody."""
    try:
        response = requests.get(
            urljoin(login.root, "/connect/login"),
            params={"api_key": login.api_key, "v": "3"},
            headers={"Accept": "application/json"},
            timeout=login.timeouts_s,
            allow_redirects=False,
        )
        document = response.json()
        return str(document.get("request_token") or document["data"]["request_token"])
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        raise BrokerUnavailable(f"the sandbox gave no request token: {type(error).__name__}") from error


def login_url(api_key: str) -> str:
    """Where a person signs in at Kite."""
    url: str = KiteConnect(api_key=api_key).login_url()
    return url
