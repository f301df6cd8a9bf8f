"""Slices of the database's trouble: a disk that fills and a server that is killed, and answers that must be seen."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from prove import database
from prove.hearing import PROBLEM, Heard
from sqlalchemy import text

from saras_common.db import Database
from saras_common.errors import Unavailable
from saras_common.postgres import EmbeddedPostgres, free_port

ROW = "INSERT INTO kept (number, filler) VALUES (:number, repeat(md5(CAST(:number AS text)), 2000))"


class Bench:
    """A server on a disk of its own, and a client that knows what it was promised."""

    def __init__(self, folder):
        self.filler = folder / "filler"
        self.server = EmbeddedPostgres(folder / "postgres", port=free_port(), settings=database.SMALL)
        self.database = Database(self.server.start(), schema="public", pool_size=2)
        self.promised = []
        with self.database.for_service() as session:
            session.execute(text("CREATE TABLE kept (number integer, filler text)"))

    def write(self, numbers):
        for number in numbers:
            with self.database.for_service() as session:
                session.execute(text(ROW), {"number": number})
            self.promised.append(number)

    def kept(self):
        with self.database.for_service() as session:
            return list(session.scalars(text("SELECT number FROM kept ORDER BY number")))

    def close(self):
        self.database.dispose()
        self.server.stop()


def fill_and_kill(folder):
    with database.own_disk(folder / "disk") as disk:
        if disk is None:
            return None
        bench = Bench(disk)
        try:
            bench.write(range(20))
            database._fill(bench.filler)
            with pytest.raises(Unavailable):
                bench.write(range(20, 2_000))
            bench.filler.unlink()
            database.end(bench.server)
            with pytest.raises(Unavailable):
                bench.write([5_000])
            database.start_again(bench.server)
            bench.write(range(10_000, 10_010))
            return bench.promised, bench.kept()
        finally:
            bench.close()


def test_what_was_promised_before_a_full_disk_and_a_kill_is_kept(tmp_path):
    with ThreadPoolExecutor(1) as pool:  # what a thread mounts, only that thread sees
        done = pool.submit(fill_and_kill, tmp_path).result()
    if done is None:
        pytest.skip("mounting a disk of our own is not allowed here")
    promised, kept = done
    assert set(promised) <= set(kept)
    assert len(kept) == len(set(kept))


class Reply:
    def __init__(self, status, **headers):
        self.status = status
        self._headers = headers

    def getheader(self, name):
        return self._headers.get(name.replace("-", "_"))


@pytest.mark.parametrize(
    ("reply", "code", "took_s", "is_wrong"),
    [
        (Reply(202), "None", 1.0, False),
        (Reply(503, Content_Type=PROBLEM, Retry_After="2"), "unavailable", 1.0, False),
        (Reply(422, Content_Type=PROBLEM), "insufficient_holdings", 1.0, False),
        (Reply(503, Content_Type=PROBLEM), "unavailable", 1.0, True),
        (Reply(503, Content_Type="text/html", Retry_After="2"), "None", 1.0, True),
        (Reply(503, Content_Type=PROBLEM, Retry_After="2"), "unavailable", 31.0, True),
        (Reply(500, Content_Type=PROBLEM), "internal", 1.0, True),
        (Reply(401, Content_Type=PROBLEM), "unauthorized", 1.0, True),
    ],
)
def test_wrong_answers_are_heard(reply, code, took_s, is_wrong):
    heard = Heard()
    heard.judge(reply, code, took_s)
    assert bool(heard.wrong) == is_wrong


def test_the_plan_has_thirty_kills_and_every_trouble_early():
    kinds = database.plan(random.Random(1), database.CAMPAIGN.size)
    assert set(kinds[: len(database.TROUBLES)]) == database.TROUBLES.keys()
    counts = Counter(kinds)
    assert counts["server killed"] + counts["backend killed"] == 30
    assert counts == {kind: often for kind, (_, often) in database.TROUBLES.items()}
