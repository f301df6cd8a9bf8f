"""Rupees as they are read in India: 12,34,567.80 in full, ₹12.3 L and ₹1.25 Cr in short."""

from saras_common.money import PAISE, round_half_up, rupees

LAKH = 10**5
CRORE = 10**7
_HUNDREDS = 3


def grouped(paise: int) -> str:
    """Two places, digits grouped by thousand, lakh, crore, without a sign for the currency.

    >>> grouped(123456780)
    '12,34,567.80'
    """
    whole, _, part = rupees(abs(paise)).partition(".")
    head, tail = whole[:-_HUNDREDS], whole[-_HUNDREDS:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)][::-1]
    return ("-" if paise < 0 else "") + ",".join([*pairs, tail]) + f".{part}"


def short(paise: float) -> str:
    """At most three digits of precision after the largest unit, for axes and labels.

    >>> short(12_345_678_00), short(-45_300_00), short(99_995_00)
    ('₹1.23 Cr', '−₹45,300', '₹99,995')
    """
    sign = "−" if paise < 0 else ""
    whole = abs(paise) / PAISE
    for unit, name in ((CRORE, "Cr"), (LAKH, "L")):
        if whole >= unit:
            return f"{sign}₹{_trimmed(whole / unit)} {name}"
    if whole < 100:  # noqa: PLR2004 - paise still matter
        return f"{sign}₹{_trimmed(whole)}"
    return f"{sign}₹{grouped(round(whole) * PAISE).removesuffix('.00')}"


def _trimmed(number: float) -> str:
    """Two decimals below 100, none that say nothing; crores past a thousand grouped."""
    if number >= 100:  # noqa: PLR2004 - three digits say enough
        return grouped(round_half_up(round(number * PAISE), PAISE) * PAISE).removesuffix(".00")
    return f"{number:.2f}".rstrip("0").rstrip(".")
