"""`saras up --spread`: servers first, then schemas, then every process, kept running until told to stop."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from saras.errors import CannotStart
from saras.fleet import PACKAGES, SERVICES
from saras.home import Credentials, Running
from saras.kept import KeptProcess
from saras.schemas import BUS, prepare_database
from saras.spread.environment import Surroundings, environment_of, process_name
from saras.spread.ports import KeptPorts
from saras.spread.restart import Restarter, migrate_from_disk
from saras.spread.roll import Entry, kept_roll
from saras.spread.servers import KeptServer, private_servers, start_all
from saras.up import Herald, Platform

SERVERS = ("rabbitmq", "redis")
PROCESSES = [(service, command) for service in SERVICES for command in service.processes]
STOP_TIMEOUT_S = 15.0
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class SpreadPlatform(Platform):
    """The parts of a platform whose services are processes of their own."""

    def serve(self, stack: ExitStack, *, demo_users: bool) -> None:
        """Start every part, each registered on ``stack`` to be ended in reverse order, and wait until stopped."""
        if self.settings.database_url or self.settings.broker_url or self.settings.redis_url:
            raise CannotStart(
                "spread out, the platform brings its own servers: unset DATABASE_URL, BROKER_URL and REDIS_URL"
            )
        admin, is_new_admin = self._admin()
        sandbox = self._sandbox() if self.settings.mode == "sandbox" else None
        self._check_ports(sandbox)
        self.home.services.mkdir(exist_ok=True, mode=0o711)
        ports = KeptPorts(self.home.services / "ports.json").get(
            *SERVERS, *(process_name(*process) for process in PROCESSES)
        )
        ports[process_name(SERVICES[0], "api")] = self.settings.port
        if sandbox is not None:
            stack.callback(sandbox.stop)
            sandbox.start()
        around, servers, migrate = self._start_servers(stack, ports, admin)
        if sandbox is not None:
            with self.progress.step("the sandbox broker"):
                sandbox.wait_ready()
        processes = self._start_processes(stack, around)
        self._start_witness(stack, around)
        restarter = Restarter(self.home, processes, migrate)
        stack.callback(restarter.stop)
        restarter.start()
        stack.enter_context(kept_roll(self.home.roll, lambda: _entries(servers, processes, ports)))
        seeding_url = f"http://127.0.0.1:{ports['user-service.api']}"
        running = Running(os.getpid(), self.settings.url, self.settings.sandbox_url if sandbox else None, seeding_url)
        stack.enter_context(self.home.announced(running))
        herald = Herald(self.settings, self.progress, admin if is_new_admin else None, demo_users=demo_users)
        stack.callback(herald.stop)
        herald.start()
        threading.Event().wait()

    def _start_servers(
        self, stack: ExitStack, ports: Mapping[str, int], admin: Credentials
    ) -> tuple[Surroundings, list[KeptServer], Callable[[], None]]:
        """Also what brings the schemas to the state of newer code."""
        roles = (*PACKAGES, BUS)
        secrets = self.home.vault().get(*(f"{name}_password" for name in (*roles, *SERVERS)))
        with self.progress.step("PostgreSQL, RabbitMQ and Redis"):
            passwords = {name: secrets[f"{name}_password"] for name in SERVERS}
            servers = private_servers(self.home.services, ports, passwords)
            for server in servers:
                stack.callback(server.stop)
            admin_url, broker_url, redis_url = start_all(servers)
        with self.progress.step("the database's schemas"):
            of_roles = {role: secrets[f"{role}_password"] for role in roles}
            databases = prepare_database(admin_url, of_roles, PACKAGES)
        own: dict[str, dict[str, str]] = {
            "user-service": {"SARAS_ADMIN_EMAIL": admin.email, "SARAS_ADMIN_PASSWORD": admin.password},
            "trade-executor": {name.upper(): value for name, value in self._broker().items()},
        }
        if self.settings.mode == "sandbox":
            own["notification-service"] = {"NOTIFY_MAIL_FOLDER": str(self.home.path / "mail")}
        around = Surroundings(databases, broker_url, redis_url, ports, own)
        return around, servers, partial(migrate_from_disk, admin_url, of_roles)

    def _start_witness(self, stack: ExitStack, around: Surroundings) -> None:
        """In this process: it writes beside the home's secrets, and no service may."""
        from saras.threads import Threads
        from saras.witnessing import witness  # imports two services

        threads = Threads([witness(self.home, around.databases)])
        stack.callback(threads.stop)
        threads.start()

    def _start_processes(self, stack: ExitStack, around: Surroundings) -> list[KeptProcess]:
        vault = self.home.vault()
        processes = []
        for service, command in PROCESSES:
            name = process_name(service, command)
            environment = environment_of(service, command, around, self.settings, vault)
            listener = stack.enter_context(_listener(environment["HOST"], around.ports[name]))
            log = self.home.logs / f"{name}.log"
            processes.append(KeptProcess(name, [service.package, command], environment, log, listener=listener))
        stack.callback(_stop_all, processes)
        for process in processes:
            process.start()
        return processes


def _listener(host: str, port: int) -> socket.socket:
    """A socket for one process after the other; `CannotStart` when somebody took the port a moment ago."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotStart(f"port {port} cannot be listened on: {error.strerror}") from error


def _stop_all(processes: list[KeptProcess]) -> None:
    """Ask all at once, then wait for each: the time of the slowest, not of all."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in processes:
        process.stop(max(0.1, deadline - time.monotonic()))


def _entries(servers: list[KeptServer], processes: list[KeptProcess], ports: Mapping[str, int]) -> list[Entry]:
    return [
        *(Entry(server.name, server.pid, server.restarts, 0, "") for server in servers),
        *(
            Entry(process.name, process.pid, process.restarts, ports[process.name], f"{process.name}.log")
            for process in processes
        ),
    ]
