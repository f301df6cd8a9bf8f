"""Campaign 7: tokens that must not open any door, and sessions attacked while they begin, go on and end.

The doors are every route of the platform's OpenAPI document, over HTTP at the gateway of a whole platform; then every
route of every service, past the gateway, with internal tokens.
"""

from prove.campaign import Campaign, Outcome, Run
from prove.doorbugs import check_session_bugs, check_token_bugs
from prove.doors import check_doors, check_good, check_inside, protected
from prove.hostile import ended, knocks
from prove.house import House, house
from prove.races import server
from prove.routes import read_routes
from prove.sessions import check_codes, check_lockouts, check_refreshes, check_timing

LEAST_TOKENS = 120
RACES = 20
CODE_ROUNDS = 8
TIMED = 400
LOCK_OUTS_S = 150.0
RESERVED_S = 25.0
"""Left for what follows the lock-outs."""


def play(run: Run) -> Outcome:
    """Tokens first; then sessions, as many lock-outs as were asked for and fit."""
    outcome = Outcome()
    with server() as on, house(on) as made:
        outcome.add(play_in(made, run))
    return outcome


def play_in(made: House, run: Run) -> Outcome:
    """The campaign on a platform that runs."""
    outcome = Outcome()
    admin = made.admin()
    good = made.admin()
    routes = protected(read_routes(made.openapi()))
    tried = [*knocks(made, good), *ended(made, admin)]
    outcome.counts["hostile tokens and ways to show them"] = len(tried)
    if len(tried) < LEAST_TOKENS:
        outcome.missed.append(f"{len(tried)} hostile tokens, not {LEAST_TOKENS}")
    outcome.add(check_doors(made.line(), routes, tried, lambda: run.left_s < LOCK_OUTS_S))
    outcome.add(check_good(routes, good))
    outcome.add(check_token_bugs(made, routes, tried, good))
    outcome.add(check_session_bugs(made))
    outcome.add(check_inside(made, made.admin()))
    outcome.add(check_refreshes(made, RACES))
    outcome.add(check_codes(made, CODE_ROUNDS))
    outcome.add(check_timing(made, TIMED))
    outcome.add(check_lockouts(made, admin, run.size, lambda: run.left_s - RESERVED_S))
    return outcome


CAMPAIGN = Campaign(
    number=7,
    target="120 hostile tokens and more at every protected route: none accepted, no 5xx; of 50 refreshes at once, and"
    " of sign-ins with one code, one winner; whoever is signed out, disabled or demoted is out everywhere within 1 s;"
    " a refused sign-in tells nothing about whether there is such a user",
    size=60,
    bound_s=600,
    play=play,
)
