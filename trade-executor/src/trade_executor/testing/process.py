"""The executor's consumer, relay and worker in one process of their own, so that it can be killed and stopped."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from trade_executor.app import workers
from trade_executor.settings import Settings


class ExecutorProcess:
    """Started with settings as environment; ``failpoint`` names where it kills or stops itself."""

    def __init__(self, settings: Settings, *, failpoint: str | None = None) -> None:
        env = {
            **os.environ,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "BROKER_URL": settings.broker_url.get_secret_value(),
            "INTERNAL_TOKEN_KEY": settings.internal_token_key.get_secret_value(),
            "EXECUTOR_TOKEN_KEY": settings.token_key.get_secret_value(),
            "KITE_ROOT": settings.kite_root,
            "SARAS_WINDOW_S": str(settings.window_s),
            "RECONCILE_EVERY_S": str(settings.reconcile_every_s),
            "LEASE_S": str(settings.lease_ttl_s),
            "CONNECT_TIMEOUT_S": str(settings.timeouts_s[0]),
            "READ_TIMEOUT_S": str(settings.timeouts_s[1]),
            "TICKER_ENABLED": "false",
            "LOG_LEVEL": "ERROR",
        }
        if failpoint is not None:
            env["SARAS_FAILPOINT"] = failpoint
        self._process = subprocess.Popen([sys.executable, "-m", __name__], env=env)  # noqa: S603 - ourselves

    def wait_for_its_end(self, seconds: float) -> int | None:
        """Its return code (−9 after SIGKILL), or ``None`` when it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped (SIGSTOP) and has not gone on."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def pause(self) -> None:
        """SIGSTOP: it does nothing and notices nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def main() -> None:
    """Run every loop until a signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in workers(Settings())]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(timeout=5)


if __name__ == "__main__":
    main()
