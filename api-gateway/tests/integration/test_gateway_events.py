"""`GET /events` over real sockets: nothing lost, nothing twice, nothing of others, and an end when it is due."""

import asyncio
import itertools
import socket
import threading
import time

import pytest
from stream_parts import SseClient, blocks, one_shot

from api_gateway.streams.feed import event_id
from saras_common.ids import new_id

PATH = "/api/v1/events"
USERS, KILLS, EVENTS = 5, 100, 5000


@pytest.fixture
def live(platform_with, people):
    """``live(**settings)``: a platform, its feed, and clients for it."""

    def make(kind="mounted", **settings):
        platform = platform_with(kind, **settings)
        platform.feed = platform.services["notification-service"].feed
        platform.origin = f"http://127.0.0.1:{platform.port}"
        platform.client = lambda identity: SseClient(platform.origin + PATH, people.token(identity=identity))
        return platform

    return make


def value(platform, name, **labels):
    return platform.metrics.registry.get_sample_value(name, labels) or 0


def wait_for(condition, timeout_s=5.0):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.01)
    return time.monotonic() - started


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def until_ended(answer):
    async for _ in blocks(answer):
        pass


def test_events_come_with_ids_kinds_and_the_edge_s_headers(live, people):
    platform, me = live(), people.identity()

    async def look(session):
        async with session.get(client.url, headers=bearer(client.token)) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Request-ID"]
            seen = blocks(answer)
            client.take(await anext(seen))
            assert client.last_id == event_id(0)
            platform.feed.add(me.user_id, 1, 2)
            platform.feed.add(me.user_id, 3, kind="funds.moved")
            while len(client.events) < 3:
                client.take(await anext(seen))

    client = platform.client(me)
    one_shot(look)
    assert client.numbers == [1, 2, 3]
    assert [event["kind"] for event in client.events] == ["order.updated", "order.updated", "funds.moved"]
    assert client.last_id == client.events[-1]["id"] == event_id(3)


@pytest.mark.parametrize("kind", ["mounted", "http"])
def test_a_client_killed_a_hundred_times_misses_and_repeats_nothing(live, people, kind):
    platform, me = live(kind), people.identity()
    others = [new_id() for _ in range(USERS - 1)]
    feed, client = platform.feed, platform.client(me)

    async def be_killed_and_resume(session):
        await client.listen(session, until=lambda _: client.last_id is not None)
        writer.start()
        for kill in range(1, KILLS):
            goal = EVENTS * kill // KILLS
            await client.listen(session, until=lambda _, goal=goal: len(client.events) > goal)
        await client.listen(session, until=lambda _: len(client.events) == EVENTS, timeout_s=60)

    def write():
        numbers = itertools.count(1)
        for _ in range(EVENTS // 10):
            feed.add(me.user_id, *itertools.islice(numbers, 10))
            for other in others:
                feed.add(other, -1, -2)
            time.sleep(0.0005)

    writer = threading.Thread(target=write)
    one_shot(be_killed_and_resume)
    writer.join()
    assert client.numbers == list(range(1, EVENTS + 1))
    assert len({event["id"] for event in client.events}) == EVENTS
    resumed = [path for path, _ in feed.asked if path == f"/internal/feed/{me.user_id}"]
    assert len(resumed) >= KILLS, "every return must have asked for what it missed"


def test_whoever_was_away_hears_first_what_was_missed_and_then_what_comes(live, people):
    platform, me = live(), people.identity()
    client = platform.client(me)
    one_shot(lambda session: client.listen(session, until=lambda _: client.last_id is not None))
    platform.feed.add(me.user_id, *range(1201))
    one_shot(lambda session: client.listen(session, until=lambda _: len(client.events) == 1201))
    by_query = platform.client(me)
    by_query.url += f"?last_event_id={event_id(1199)}"
    one_shot(lambda session: by_query.listen(session, until=lambda _: len(by_query.events) == 2))
    assert client.numbers == list(range(1201))
    assert by_query.numbers == [1199, 1200]


def test_a_user_hears_of_nobody_else_whatever_id_it_gives(live, people):
    platform = live()
    identities = [people.identity() for _ in range(3)]
    clients = [platform.client(identity) for identity in identities]
    for number in range(30):
        platform.feed.add(identities[number % 3].user_id, number)
    clients[0].last_id = event_id(0)
    clients[1].last_id = event_id(15)  # the id of another user's event

    async def all_listen(session):
        tasks = [
            asyncio.create_task(client.listen(session, until=lambda c: c.numbers[-1:] == [99])) for client in clients
        ]
        await asyncio.sleep(0.5)
        for identity in identities:
            platform.feed.add(identity.user_id, 99)
        await asyncio.gather(*tasks)

    one_shot(all_listen)
    assert clients[0].numbers == [*range(0, 30, 3), 99]
    assert clients[1].numbers == [*range(16, 30, 3), 99]
    assert clients[2].numbers == [99]


def test_a_reader_that_does_not_read_is_dropped_and_the_others_hear_everything(live, people):
    platform, me = live(stream_buffer_bytes=512 * 1024), people.identity()
    token = people.token(identity=me)
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", platform.port))
        stuck.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        wait_for(lambda: value(platform, "saras_gateway_streams") == 1)
        client = platform.client(me)

        async def listen(session):
            listening = asyncio.create_task(client.listen(session, until=lambda c: len(c.events) == 3000, timeout_s=20))
            await asyncio.sleep(0.3)
            for number in range(3000):
                platform.feed.add(me.user_id, number, padding="x" * 3000)
                while len(client.events) < number - 50:  # noqa: ASYNC110 - the healthy one keeps up
                    await asyncio.sleep(0.002)
            await listening

        one_shot(listen)
        assert client.numbers == list(range(3000))
        wait_for(lambda: value(platform, "saras_gateway_streams_ended_total", reason="slow") == 1)
        wait_for(lambda: value(platform, "saras_gateway_streams") == 0)
        # what the kernel still holds for it is dropped too, at the deadline for taking answers
        wait_for(lambda: value(platform, "saras_gateway_sockets_closed_total", reason="answer_not_taken") == 1)


@pytest.mark.parametrize("how", ["session", "user"])
def test_a_stream_ends_within_a_second_of_its_session(live, people, how):
    platform, me, other = live(), people.identity(), people.identity()

    async def revoke(session):
        mine, theirs = [await session.get(PATH, headers=bearer(people.token(identity=who))) for who in (me, other)]
        if how == "session":
            people.sessions.append(me.session_id)
        else:
            people.users.append({"user_id": str(me.user_id), "min_version": 2})
        started = time.monotonic()
        await until_ended(mine)
        took_s = time.monotonic() - started
        platform.feed.add(other.user_id, 1)
        async with asyncio.timeout(5):
            seen = blocks(theirs)
            while "data: " not in await anext(seen):
                pass
        async with session.get(PATH, headers=bearer(people.token(identity=me))) as refused:
            assert refused.status == 401
        theirs.close()
        return took_s

    assert one_shot(revoke, platform.origin) < 1
    assert value(platform, "saras_gateway_streams_ended_total", reason="signed_out") == 1


def test_a_stream_lives_no_longer_than_its_token(live, people):
    platform = live()

    async def outlive(session):
        answer = await session.get(PATH, headers=bearer(people.token(ttl_s=2)))
        await asyncio.wait_for(until_ended(answer), 4)

    one_shot(outlive, platform.origin)


def test_streams_end_when_nobody_can_say_what_was_revoked(live, people):
    platform = live(revocation_stale_s=0.6)

    async def fall_silent(session):
        answer = await session.get(PATH, headers=bearer(people.token()))
        people.silent = True
        await asyncio.wait_for(until_ended(answer), 4)

    one_shot(fall_silent, platform.origin)
    assert value(platform, "saras_gateway_streams_ended_total", reason="revocations_unknown") == 1


def test_silence_is_broken_by_comments(live, people):
    platform = live(stream_heartbeat_s=0.3)
    client = platform.client(people.identity())
    one_shot(lambda session: client.listen(session, until=lambda _: client.comments == 3))
    assert not client.events


def test_streams_are_limited_by_user_and_in_all(live, people):
    platform, me = live(stream_user_limit=2, stream_limit=3), people.identity()

    async def crowd(session):
        mine = [await session.get(PATH, headers=bearer(people.token(identity=me))) for _ in range(3)]
        assert [answer.status for answer in mine] == [200, 200, 429]
        assert (await mine[2].json(content_type=None))["code"] == "too_many_streams"
        assert mine[2].headers["Retry-After"]
        others = [await session.get(PATH, headers=bearer(people.token())) for _ in range(2)]
        assert [answer.status for answer in others] == [200, 503]
        mine[0].close()
        await asyncio.sleep(0.3)
        again = await session.get(PATH, headers=bearer(people.token(identity=me)))
        assert again.status == 200
        for answer in (*mine, *others, again):
            answer.close()

    one_shot(crowd, platform.origin)


@pytest.mark.parametrize("last_id", [event_id(1), event_id(77)])
def test_what_is_no_longer_or_not_yet_known_begins_afresh(live, people, last_id):
    platform, me = live(), people.identity()
    platform.feed.add(me.user_id, 1, 2)
    platform.feed.forget()
    platform.feed.add(me.user_id, 3)
    client = platform.client(me)
    client.last_id = last_id
    one_shot(lambda session: client.listen(session, until=lambda c: c.events))
    assert [event["kind"] for event in client.events] == ["stream.reset"]
    assert client.last_id == event_id(3)
    platform.feed.add(me.user_id, 4)
    one_shot(lambda session: client.listen(session, until=lambda c: len(c.events) > 1))
    assert client.numbers == [None, 4]


def test_a_feed_that_went_back_in_time_ends_every_stream(live, people):
    platform, me = live(), people.identity()
    platform.feed.add(me.user_id, 1, 2, 3)

    async def rewind(session):
        answer = await session.get(PATH, headers=bearer(people.token(identity=me)))
        platform.feed.head = 1
        await asyncio.wait_for(until_ended(answer), 5)

    one_shot(rewind, platform.origin)
    assert value(platform, "saras_gateway_streams_ended_total", reason="reset") == 1


@pytest.mark.parametrize("last_id", ["x", "0", "WzFd%", event_id(-1), event_id(2**63), "WyJhIl0", "é"])
def test_ids_we_never_gave_are_refused(live, people, last_id):
    platform = live()
    answer = platform.get(PATH, token=people.token(), headers={"Last-Event-ID": last_id.encode("latin-1")})
    assert (answer.status, answer.code) == (422, "invalid_input")
    assert answer.json()["errors"][0]["field"] == "last_event_id"


def test_only_get_streams(live, people):
    platform = live()
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        assert platform.request(method, PATH, token=people.token()).status == 405
    assert platform.get(f"{PATH}/all", token=people.token()).status == 404
    assert platform.get("/api/v1/ws", token=people.token()).status == 426
    assert platform.request("DELETE", "/api/v1/ws", token=people.token()).status == 405
    assert platform.get("/api/v1/ws").status == 401


def test_without_the_feed_nobody_comes_in_and_those_inside_hear_later_what_they_missed(live, people):
    platform, me = live(), people.identity()
    client = platform.client(me)

    async def outage(session):
        inside = asyncio.create_task(client.listen(session, until=lambda c: c.numbers == [1, 2], timeout_s=15))
        await asyncio.sleep(0.3)
        platform.feed.add(me.user_id, 1)
        await asyncio.sleep(0.2)
        platform.feed.is_down = True
        platform.feed.add(me.user_id, 2)
        await asyncio.sleep(1.5)
        async with session.get("/health/ready") as ready:
            assert (await ready.json())["dependencies"]["streams"] == "http_503"
        platform.feed.is_down = False
        await inside

    one_shot(outage, platform.origin)


def test_nobody_comes_in_while_events_cannot_be_read(live, people):
    platform = live(answer_timeout_s=8.0)
    platform.feed.is_down = True
    answer = platform.get(PATH, token=people.token())
    assert (answer.status, answer.code) == (503, "unavailable")


def test_a_server_that_ends_lets_its_streams_go_at_once(live, people):
    platform = live()

    async def watch(session):
        answer = await session.get(PATH, headers=bearer(people.token()))
        platform.server.should_exit = True
        started = time.monotonic()
        await until_ended(answer)
        return time.monotonic() - started

    assert one_shot(watch, platform.origin) < 1
    assert value(platform, "saras_gateway_streams_ended_total", reason="closing") == 1


def test_nobody_listening_means_nobody_asking(live, people):
    platform = live()
    client = platform.client(people.identity())
    one_shot(lambda session: client.listen(session, until=lambda _: client.last_id is not None))
    wait_for(lambda: value(platform, "saras_gateway_streams") == 0)
    time.sleep(1.2)
    asked = len(platform.feed.asked)
    time.sleep(1.2)
    assert len(platform.feed.asked) == asked
