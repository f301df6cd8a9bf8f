import importlib.util
import sys
from pathlib import Path

import pytest
import yaml

K8S = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def chart():
    """The script that renders the chart."""
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    spec = importlib.util.spec_from_file_location("saras_script_chart", K8S.parent / "scripts/chart.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def values_of():
    def read(name):
        return {} if name == "default" else yaml.safe_load((K8S / "values" / f"{name}.yaml").read_text())

    return read


@pytest.fixture(scope="session")
def documents_of(chart, values_of):
    """``documents_of("full")``: what the chart makes of these values, rendered once."""
    made = {}

    def documents(name):
        if name not in made:
            made[name] = chart.render(values_of(name))
        return made[name]

    return documents
