"""Oracles: worked figures of the broker's charge list for equity (rates from 2026-03-01, and the older ones)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from saras_common.charges import (
    CAP_BROKERAGE_PAISE,
    RATES,
    Charges,
    exact_charges,
    has_dp_charge,
    order_charges,
    rates_on,
)

TODAY = date(2026, 11, 2)
BEFORE = date(2026, 2, 27)


def exact_total(exchange, product, side, rupees, day=TODAY):
    total = sum(exact_charges(exchange, product, side, rupees * 100, day).values()) / 100
    return Decimal(total.numerator) / Decimal(total.denominator)


@pytest.mark.parametrize(
    ("exchange", "product", "side", "quantity", "price", "expected"),
    [
        ("NSE", "CNC", "BUY", 100, 1500, "178.1109"),
        ("NSE", "CNC", "SELL", 100, 1600, "165.98496"),
        ("NSE", "MIS", "BUY", 400, 1000, "50.5624"),
        ("NSE", "MIS", "SELL", 400, 1100, "150.05864"),
        ("NSE", "MIS", "BUY", 10, 1000, "4.21406"),
        ("NSE", "MIS", "SELL", 10, 1100, "7.055466"),
        ("BSE", "CNC", "BUY", 50, 2000, "119.543"),
        ("BSE", "CNC", "SELL", 50, 2100, "109.77015"),
    ],
)
def test_unrounded_totals(exchange, product, side, quantity, price, expected):
    assert exact_total(exchange, product, side, quantity * price) == Decimal(expected)


def test_the_parts_of_the_first_oracle():
    parts = exact_charges("NSE", "CNC", "BUY", 15_000_000, TODAY)
    assert {kind: float(amount) / 100 for kind, amount in parts.items()} == pytest.approx(
        {"brokerage": 0, "stt": 150, "exchange": 4.605, "sebi": 0.15, "stamp_duty": 22.5, "gst": 0.8559}
    )


@pytest.mark.parametrize(("product", "expected"), [("MIS", "224.61"), ("CNC", "1112.41")])
def test_the_published_calculators_totals(product, expected):
    # Buying and selling 500 at 1000 under the rates of Oct 2024 - Feb 2026.
    both = sum(exact_total("NSE", product, side, 500_000, BEFORE) for side in ("BUY", "SELL"))
    assert abs(both - Decimal(expected)) <= Decimal("0.01")


def test_an_old_trade_is_charged_its_days_rates():
    first, last = replace(RATES[0], since=date(2020, 1, 1)), replace(RATES[0], since=date(2025, 1, 1))
    assert rates_on(date(2024, 12, 31), (first, last)) is first
    assert rates_on(date(2025, 1, 1), (first, last)) is last
    assert rates_on(date(2019, 1, 1), (first, last)) is first
    assert rates_on(BEFORE) is RATES[0]
    assert rates_on(TODAY) is RATES[1]


def test_the_total_is_rounded_once_and_its_parts_sum_to_it():
    charged = order_charges("NSE", "CNC", "BUY", 15_000_000, TODAY)
    assert charged.total_paise == 17811
    assert charged == Charges(brokerage=0, stt=15000, exchange=460, sebi=15, stamp_duty=2250, gst=86)


def test_the_depository_fee_stands_beside_the_rounded_total():
    charged = order_charges("NSE", "CNC", "SELL", 16_000_000, TODAY, dp=True)
    assert charged.dp == 1534
    assert charged.total_paise == 16598 + 1534


def test_intraday_brokerage_is_capped():
    assert exact_charges("NSE", "MIS", "BUY", 10**12, TODAY)["brokerage"] == CAP_BROKERAGE_PAISE


def test_only_delivery_sales_leave_the_depository():
    assert has_dp_charge("CNC", "SELL")
    assert not has_dp_charge("CNC", "BUY")
    assert not has_dp_charge("MIS", "SELL")


def test_charges_add_and_subtract_by_kind():
    a, b = Charges(stt=5, gst=2), Charges(stt=3, dp=1)
    assert a + b == Charges(stt=8, gst=2, dp=1)
    assert (a + b) - b == a
