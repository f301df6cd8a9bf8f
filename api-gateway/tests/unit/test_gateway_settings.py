import pytest

from api_gateway.app import create_app
from api_gateway.server import uvicorn_config
from api_gateway.settings import DEFAULT_RATES, GatewaySettings

KEY = "k" * 40


def test_settings_name_the_services(monkeypatch):
    monkeypatch.setenv("USER_SERVICE_URL", "http://users:8001")
    monkeypatch.setenv("INTERNAL_TOKEN_KEY", KEY)
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    settings = GatewaySettings()
    assert settings.service_urls() == {"user-service": "http://users:8001"}
    assert settings.trusted_proxies == {"10.0.0.0/8", "127.0.0.1"}
    assert uvicorn_config(create_app(settings), settings).port == 8000


@pytest.mark.parametrize("mode", ["sandbox", "live"])
def test_settings_rates_follow_the_mode_unless_set(mode):
    settings = GatewaySettings(internal_token_key=KEY, mode=mode, rate_login="7/hour")
    assert settings.rate("login") == "7/hour"
    assert {name: settings.rate(name) for name in DEFAULT_RATES[mode] if name != "login"} == {
        name: text for name, text in DEFAULT_RATES[mode].items() if name != "login"
    }


def test_settings_refuse_a_rate_that_is_none():
    with pytest.raises(ValueError, match="rate_login"):
        GatewaySettings(internal_token_key=KEY, rate_login="often")
