"""What each process of a spread-out platform finds in its environment: what it needs, no other service's secrets."""

from collections.abc import Mapping
from dataclasses import dataclass

from saras.fleet import GATEWAY, SERVICES, Service
from saras.home import Vault
from saras.settings import PlatformSettings, child_environment

LOOPBACK = "127.0.0.1"
PERSONAL = ("SARAS_ADMIN_PASSWORD", "SARAS_ROLE_PASSWORDS", "KITE_ACCOUNTS", "DATABASE_URL")
"""Secrets of our own environment that only the service they are meant for is told."""
OWNERS = {"NOTIFY_": "notification-service"}
"""Beginnings of the names of variables with which a service keeps logins of its own, and which one inherits them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the services stand on.

    ``databases``: role → URL; ``ports``: of each process, by `process_name`; ``own``: what one service alone is told.
    """

    databases: Mapping[str, str]
    broker_url: str
    redis_url: str
    ports: Mapping[str, int]
    own: Mapping[str, Mapping[str, str]]


def process_name(service: Service, command: str) -> str:
    """How logs, ports and the status call a process."""
    return f"{service.name}.{command}"


def environment_of(
    service: Service, command: str, around: Surroundings, settings: PlatformSettings, vault: Vault
) -> dict[str, str]:
    """The whole environment of one process; what is not named here is passed on as it stands."""
    port = around.ports[process_name(service, command)]
    changes = {
        "BROKER_URL": around.broker_url,
        "REDIS_URL": around.redis_url,
        "INTERNAL_TOKEN_KEY": vault.get("internal_token_key")["internal_token_key"],
        "SARAS_MODE": settings.mode,
        "LOG_LEVEL": settings.log_level,
        "HOST": settings.host if service.name == GATEWAY else LOOPBACK,
        "PORT": str(port),
        "PROBE_PORT": "0" if command == "api" else str(port),
        **{each.url_variable: _address(each, around) for each in SERVICES if each.name != GATEWAY},
        **{
            secret.variable: vault.get_key(secret.name) if secret.is_key else vault.get(secret.name)[secret.name]
            for secret in service.secrets
        },
        **around.own.get(service.name, {}),
    }
    if service.has_schema:
        changes["DATABASE_URL"] = around.databases[service.package]
    strange = tuple(beginning for beginning, owner in OWNERS.items() if owner != service.name)
    environment = child_environment(changes)
    for name in environment.keys() - changes.keys():
        if name in PERSONAL or name.startswith(strange):
            del environment[name]
    return environment


def _address(service: Service, around: Surroundings) -> str:
    return f"http://{LOOPBACK}:{around.ports[process_name(service, 'api')]}"
