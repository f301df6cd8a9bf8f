"""The only door: verifies tokens, routes, limits. Knows no money.

``server`` guards the sockets, ``gateway`` serves one request, ``routes`` says what leads where, ``upstreams`` how to
get there; ``sessions`` decides who calls, ``rates`` how often, ``telemetry`` remembers what happened.
"""
