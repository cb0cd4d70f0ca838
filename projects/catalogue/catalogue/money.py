"""Amounts of money: integers of a currency's minor unit, never floats.

Rounding happens in one place only, `tax_within`: half up, to the minor unit, once for each line of
an order. An order's tax is the sum of its lines' taxes, so that a printed invoice adds up.
"""

from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings


def tax_within(gross_minor: int, percent: Decimal) -> int:
    """Return the tax that a gross amount includes.

    Args:
        gross_minor: The amount with tax, in minor units.
        percent: The tax on the net amount, in percent.
    """
    exact = Decimal(gross_minor) * percent / (100 + percent)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def in_words(minor: int, currency: str) -> str:
    """Return an amount for people, such as `EUR 12.30` (1230), `JPY 1230` or `KWD 1.230`."""
    digits = settings.CURRENCIES[currency]
    return f"{currency} {Decimal(minor).scaleb(-digits):.{digits}f}"
