"""HTTP: thin handlers over the use cases."""

from smallcase_service.api import investments, runs, sips, smallcases

routers = (smallcases.router, runs.router, investments.router, sips.router)
"""Everything this service answers."""
