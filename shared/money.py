"""Amounts of money: whole minor units of an ISO 4217 currency everywhere, decimals only where people read them."""

from decimal import Decimal

_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_OTHERS = {currency: exponent for exponent, codes in _EXPONENTS.items() for currency in codes.split()}


def exponent_of(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217): 0 for JPY, 3 for KWD, 2 for most."""
    return _OTHERS.get(currency, 2)


def in_major_units(amount: int, currency: str) -> Decimal:
    """Return an amount of minor units as people write it, with all the decimals of its currency."""
    return Decimal(amount).scaleb(-exponent_of(currency))
