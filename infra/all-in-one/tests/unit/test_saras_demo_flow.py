from saras.demo.flow import Crowd, Quote, on_tick, rupees

QUOTES = [Quote(f"NSE:S{n}", 10_000 + n * 990, 10) for n in range(30)]


def test_the_same_seed_gives_the_same_crowd():
    assert Crowd(7, 20, QUOTES).market_buys(50) == Crowd(7, 20, QUOTES).market_buys(50)
    assert Crowd(7, 20, QUOTES).market_buys(50) != Crowd(8, 20, QUOTES).market_buys(50)


def test_everybody_takes_part():
    wishes = Crowd(1, 20, QUOTES).market_buys(200)
    assert {wish.user for wish in wishes} == set(range(20))
    assert {wish.product for wish in wishes} == {"CNC", "MIS"}
    assert all(wish.side == "BUY" and wish.quantity > 0 for wish in wishes)


def test_mixed_buys_have_every_kind():
    thin = [quote.instrument for quote in QUOTES[:5]]
    wishes = Crowd(1, 20, QUOTES).mixed_buys(300, thin)
    last = {quote.instrument: quote.last_paise for quote in QUOTES}
    ioc = [wish for wish in wishes if wish.validity == "IOC"]
    limits = [wish for wish in wishes if wish.order_type == "LIMIT"]
    assert ioc
    assert {wish.instrument for wish in ioc} <= set(thin)
    assert all(wish.price_paise % 10 == 0 and wish.price_paise <= last[wish.instrument] for wish in limits)
    assert {wish.price_paise == last[wish.instrument] for wish in limits} == {True, False}


def test_nobody_sells_more_than_held():
    holdings = {3: {"NSE:S1": 4, "NSE:S2": 0}, 5: {"NSE:S1": 1}}
    wishes = Crowd(1, 20, QUOTES).sells(10, holdings)
    assert {(wish.user, wish.instrument) for wish in wishes} == {(3, "NSE:S1"), (5, "NSE:S1")}
    assert all(1 <= wish.quantity <= holdings[wish.user][wish.instrument] for wish in wishes)
    assert len(Crowd(1, 20, QUOTES).sells(1, holdings)) == 1


def test_prices_are_written_exactly():
    assert rupees(123_405) == "1234.05"
    assert on_tick(12_347, Quote("NSE:X", 12_347, 5)) == 12_345
    assert Crowd(1, 1, QUOTES).market_buys(1)[0].body()["order_type"] == "MARKET"
