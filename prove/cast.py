"""Who knocks where they should not: the callers of the matrix, and how an answer to them is judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prove.belongings import Belongings, furnish, read_cursors
from prove.house import BASE, Headers, House, Line, Person, Reply, until
from prove.routes import Route, read_routes

TAGS = ("Quillfeather", "Thistledown")
"""Names of the victim's and the neighbour's things: words that stand nowhere in our code."""

ANONYMOUS, DISABLED, STRANGER, NEIGHBOUR, ADMIN = "anonymous", "disabled user", "stranger", "neighbour", "admin"
REFUSED = 401
FORBIDDEN = 403


@dataclass
class Cast:
    """The victim and everybody who is not the victim."""

    house: House
    victim: Belongings
    neighbour: Belongings
    callers: dict[str, Person]
    anonymous: Line
    routes: list[Route]
    baselines: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)

    @property
    def admin(self) -> Person:
        return self.callers[ADMIN]

    def fresh(self, caller: str) -> None:
        """A new session for somebody whose last one ended by what it asked for."""
        if caller in {STRANGER, NEIGHBOUR, ADMIN}:
            self.callers[caller] = self.house.session_of(self.callers[caller])

    def ask(self, caller: str, route: Route, path: str, body: object = None, headers: Headers = []) -> Reply:  # noqa: B006 - read only
        """As that caller; asked again with a new session when the last one ended meanwhile."""
        if caller == ANONYMOUS:
            return self.anonymous.ask(route.method, BASE + path, headers, body)
        reply = self.callers[caller].ask(route.method, path, body, headers)
        if reply.status == REFUSED and caller != DISABLED:
            self.fresh(caller)
            reply = self.callers[caller].ask(route.method, path, body, headers)
        return reply

    def callers_of(self, route: Route) -> list[str]:
        """Everybody, but the admin where an admin may, and nobody signed in on a stream: that would not end."""
        names = [ANONYMOUS, DISABLED]
        if route.is_endless:
            return names
        names += [STRANGER, NEIGHBOUR]
        is_the_admins = route.is_admins or "user_id" in route.query
        return names if is_the_admins else [*names, ADMIN]


@contextmanager
def cast(house: House, seed: int, *, with_neighbour: bool = True) -> Iterator[Cast]:
    """Everybody, ready. Without a neighbour a stranger plays that part."""
    admin = house.admin()
    victim = furnish(house, admin, TAGS[0], seed)
    stranger, disabled = house.people(2)
    neighbour = furnish(house, admin, TAGS[1], seed + 1) if with_neighbour else Belongings(stranger, TAGS[1], {})
    disabled = house.session_of(disabled)
    admin.do("PATCH", f"/admin/users/{disabled.id}", {"status": "disabled"})
    until(lambda: disabled.ask("GET", "/me").status == REFUSED, "the disabled user is out")
    routes = read_routes(house.openapi())
    read_cursors(victim, [route.path for route in routes if "cursor" in route.query and not route.path_names])
    callers = {STRANGER: stranger, NEIGHBOUR: neighbour.person, DISABLED: disabled, ADMIN: admin}
    yield Cast(house, victim, neighbour, callers, house.line(), routes)


def judge(cast: Cast, caller: str, route: Route, reply: Reply) -> str | None:
    """What is wrong with an answer whatever was asked; ``None`` when nothing is."""
    marks = cast.victim.find_marks(reply)
    if marks:
        return f"holds the victim's {marks[0]!r}"
    if reply.status >= 500:
        return f"{reply.status}"
    if route.is_public:
        return None
    if caller in {ANONYMOUS, DISABLED} and reply.status != REFUSED:
        return f"{reply.status}, not 401"
    if route.is_admins and caller in {STRANGER, NEIGHBOUR} and reply.status != FORBIDDEN:
        return f"{reply.status}, not 403"
    return None
