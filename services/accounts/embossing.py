"""A holder's name as it can stand on a card: an embosser has capitals from A to Z, digits and few signs more."""

import re
import unicodedata

from shared.errors import Rejected

LONGEST = 26
_FOREIGN = re.compile(r"[^A-Z0-9 .'/&-]")
_READABLE = re.compile(r"[A-Z0-9]")
# What no decomposition of Unicode takes apart, as passports write it.
_LETTERS = str.maketrans(
    {"Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "Ħ": "H", "Ŋ": "N", "Ŧ": "T"}
    | {"’": "'", "‘": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-"}
)


def embossed(first_name: str, last_name: str) -> str:
    """Return the name for the plastic: capitals, at most 26 characters, the first name shortened where it must be.

    Raises Rejected where nothing of one of the names can be embossed: without it the card would bear another name.
    """
    first, last = _plain(first_name), _plain(last_name)
    if not (_READABLE.search(first) and _READABLE.search(last)):
        raise Rejected(
            "embossed_name_required",
            "Say how the name is to stand on the card, in letters from A to Z.",
            "embossed_name",
        )
    text = f"{first} {last}"
    if len(text) > LONGEST:
        text = f"{first[:1]} {last}"
    return text[:LONGEST].strip()


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.upper().translate(_LETTERS))
    return " ".join(_FOREIGN.sub("", letters).split())
