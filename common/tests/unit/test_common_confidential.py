"""What a child process is told of our environment, and what a crash leaves behind."""

import subprocess
import sys

from saras_common.confidential import plain_environment


def test_a_plain_environment_holds_no_secret(monkeypatch):
    monkeypatch.setenv("INTERNAL_TOKEN_KEY", "secret")
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "secret")
    monkeypatch.setenv("SANDBOX_PRICES", "fixed")
    monkeypatch.setenv("LC_ALL", "C")
    found = plain_environment("SANDBOX_")
    assert "secret" not in found.values()
    assert {"PATH", "SANDBOX_PRICES", "LC_ALL"} <= set(found)
    assert "SANDBOX_PRICES" not in plain_environment()


def test_neither_a_process_nor_its_children_leave_a_core():
    code = (
        "import subprocess; from saras_common.confidential import leave_no_core; leave_no_core();"
        "print(subprocess.run(['sh', '-c', 'ulimit -c'], capture_output=True, text=True).stdout)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "0"
    )
