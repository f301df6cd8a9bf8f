"""The one list of services against what the services are."""

import ast
import importlib.util
import tomllib
from pathlib import Path

import pytest

from saras.fleet import GATEWAY, PACKAGES, SERVICES
from saras.schemas import BUS
from saras.services import ROLES
from saras_common.events import SUBSCRIPTIONS

ROOT = Path(__file__).parents[4]
FOR_EVER = {"api", "consume", "relay", "worker"}


def commands_of(service):
    """Words the service's command line knows, read from its source."""
    spec = importlib.util.find_spec(f"{service.package}.__main__")
    tree = ast.parse(Path(spec.origin).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    added = {
        call.args[0].value for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_parser"
    }
    choices = [word.value for call in calls for word in call.keywords if word.arg == "choices"]
    return added | {item.value for choice in choices for item in choice.elts}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_processes_are_what_the_command_offers_to_run_for_ever(service):
    assert commands_of(service) & FOR_EVER == set(service.processes)
    assert service.processes[0] == "api"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_names_follow_one_rule(service):
    project = tomllib.loads((ROOT / service.name / "pyproject.toml").read_text())["project"]
    assert project["name"] == service.name
    assert project["scripts"] == {service.name: f"{service.package}.__main__:main"}
    settings = service.settings_class()
    assert (settings.service, settings.schema_name) == (service.name, service.package)


def test_every_folder_of_a_service_and_every_queue_has_its_service():
    folders = {path.parent.name for path in ROOT.glob("*/pyproject.toml")} - {"common"}
    assert folders == {service.name for service in SERVICES}
    consuming = {service.name for service in SERVICES if "consume" in service.processes}
    assert {queue.partition(".")[0] for queue in SUBSCRIPTIONS} <= consuming


def test_the_gateway_stores_nothing_and_everybody_else_has_a_login():
    assert {service.name for service in SERVICES if not service.has_schema} == {GATEWAY}
    assert set(ROLES) == {*PACKAGES, BUS}
