import importlib.util
import sys
from functools import cache
from pathlib import Path

import kubernetes_validate
import kubernetes_validate.utils
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
def validate():
    """``validate(document)``: raises unless it is what Kubernetes says, to the letter. Its schemas are read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
        yield lambda document: kubernetes_validate.validate(document, "1.37", strict=True)


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
