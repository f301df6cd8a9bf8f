"""The one list of services: which there are, as which processes each runs, and what secrets of its own it needs.

What runs them all in one process, what spreads them over processes, the container image, the chart and the backup
read it from here.
"""

from dataclasses import dataclass
from importlib import import_module

from saras_common.settings import ServiceSettings

GATEWAY = "api-gateway"


@dataclass(frozen=True, slots=True)
class OwnSecret:
    """A secret one service needs: the environment's ``variable``, and its ``name`` in a home's vault."""

    variable: str
    name: str
    is_key: bool = False
    """32 bytes in base64, not text."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service. ``processes`` are commands of its console script that run for ever, the API first."""

    name: str
    processes: tuple[str, ...] = ("api", "consume", "relay", "worker")
    secrets: tuple[OwnSecret, ...] = ()

    @property
    def package(self) -> str:
        """Its import package, schema and database role."""
        return self.name.replace("-", "_")

    @property
    def url_variable(self) -> str:
        """Where others look for its address."""
        return f"{self.package.upper()}_URL"

    @property
    def has_schema(self) -> bool:
        """Whether it stores anything."""
        return self.name != GATEWAY

    def settings_class(self) -> type[ServiceSettings]:
        """The only reader of the environment in that service."""
        module = import_module(f"{self.package}.settings")
        found: type[ServiceSettings] = getattr(module, "GatewaySettings" if self.name == GATEWAY else "Settings")
        return found


SERVICES = (
    Service(GATEWAY, ("api",)),
    Service("user-service", ("api", "relay", "worker"), (OwnSecret("USER_DATA_KEYS", "data_key", is_key=True),)),
    Service("portfolio-service"),
    Service("smallcase-service"),
    Service("trade-executor", secrets=(OwnSecret("EXECUTOR_TOKEN_KEY", "executor_key", is_key=True),)),
    Service("analytics-service"),
    Service("notification-service", ("api", "consume", "worker"), (OwnSecret("NOTIFY_WEBHOOK_KEY", "webhook_key"),)),
)

PACKAGES = tuple(service.package for service in SERVICES if service.has_schema)
"""Packages with a schema and migrations, in the order in which they are brought to their head."""
