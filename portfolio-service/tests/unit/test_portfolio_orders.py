import pytest

from portfolio_service.domain.orders import OPEN, TERMINAL, TRANSITIONS, Status, follows


def test_every_state_has_its_row():
    assert set(TRANSITIONS) == set(Status)
    assert set(TERMINAL) == {Status.FILLED, Status.CANCELLED, Status.REJECTED, Status.EXPIRED}


@pytest.mark.parametrize("status", TERMINAL)
def test_nothing_leaves_a_terminal_state(status):
    assert status.is_terminal
    assert not any(follows(status, other) for other in Status)


@pytest.mark.parametrize("status", OPEN)
def test_an_open_order_may_end_any_way_and_never_goes_back(status):
    ranks = [Status.ACCEPTED, Status.QUEUED, Status.WORKING, Status.PARTIALLY_FILLED]
    assert all(follows(status, end) for end in TERMINAL)
    assert not any(follows(status, earlier) for earlier in ranks[: ranks.index(status) + 1])
