"""The demo's users: made in bulk by the sandbox-only door, then each acting for itself over the public API."""

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from saras.client import Api
from saras.seeding import Seeder

T = TypeVar("T")

THREADS = 8


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in user."""

    number: int
    id: str
    name: str
    token: str


class People:
    """Many users working at once, over a handful of connections."""

    def __init__(self, url: str, people: Sequence[Person]) -> None:
        self.people = list(people)
        self._url = url
        self._local = threading.local()
        self._opened: list[Api] = []
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="people")

    def close(self) -> None:
        """End the connections."""
        self._pool.shutdown()
        for api in self._opened:
            api.close()

    def each(self, act: Callable[[Api, Person], T], people: Sequence[Person] | None = None) -> list[T]:
        """``act`` as every one of them, side by side; the results in their order."""
        return self.all([(person.number, act) for person in (self.people if people is None else people)])

    def all(self, acts: Sequence[tuple[int, Callable[[Api, Person], T]]]) -> list[T]:
        """Each act as the user of that number, side by side; the results in their order."""

        def work(number: int, act: Callable[[Api, Person], T]) -> T:
            person = self.people[number]
            return act(self._api(person.token), person)

        return [future.result() for future in [self._pool.submit(work, number, act) for number, act in acts]]

    def _api(self, token: str) -> Api:
        api: Api | None = getattr(self._local, "api", None)
        if api is None:
            api = self._local.api = Api(self._url)
            self._opened.append(api)
        api.token = token
        return api


def make_people(seeder: Seeder, url: str, count: int, *, prefix: str = "demo", password: str | None = None) -> People:
    """``count`` users, signed in; their addresses begin with ``prefix``, their password is random unless given."""
    wanted = [(f"{prefix}{n:05d}@saras.example.com", f"{prefix.title()} User {n:05d}") for n in range(count)]
    seeded = seeder.seed(wanted, password or secrets.token_urlsafe(16))
    return People(url, [Person(number, user.id, user.full_name, user.token) for number, user in enumerate(seeded)])
