"""A private Prometheus beside a running platform."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from saras.ports import free_ports

FOLDER = Path(__file__).parents[2] / "prometheus-grafana"


class Prometheus:
    """The server of the package, on a free port, that reads one target every second."""

    def __init__(self, home: Path, target: str) -> None:
        self.home = home
        (self.port,) = free_ports(1)
        rules = home / "rules"
        rules.mkdir(parents=True)
        for path in (FOLDER / "rules").glob("*.yaml"):
            document = yaml.safe_load(path.read_text())
            for group in document["groups"]:
                group["interval"] = "1s"
            (rules / path.name).write_text(yaml.safe_dump(document))
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": [f"{rules}/*.yaml"],
            "scrape_configs": [{"job_name": "saras", "static_configs": [{"targets": [target]}]}],
        }
        (home / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with (home / "out.log").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={home}/prometheus.yaml",
                    f"--storage.tsdb.path={home}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                ],
                stdout=output,
                stderr=output,
            )

    def get(self, path: str, **parameters: str):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[float]:
        return [float(item["value"][1]) for item in self.get("query", query=query)["result"]]

    def wait_for(self, query: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if self.values(query):
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no data: {query}; {(self.home / 'out.log').read_text()[-800:]}"
            time.sleep(0.3)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """``prometheus(target)``: started once for a module."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed (sudo make services)")
    started = []

    def start(target: str) -> Prometheus:
        started.append(Prometheus(tmp_path_factory.mktemp("prometheus"), target))
        return started[-1]

    yield start
    for server in started:
        server.stop()
