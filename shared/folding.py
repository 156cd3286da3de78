"""Names of people as they are searched and put in order, however they are written."""

import unicodedata

# What no decomposition of Unicode takes apart, as passports write it.
PASSPORT_LETTERS = {
    "Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "Ħ": "H", "Ŋ": "N", "Ŧ": "T",
}  # fmt: skip
LONGEST_NAME_KEY = 210
_FOLDED = str.maketrans({letter.lower(): plain.lower() for letter, plain in PASSPORT_LETTERS.items()})


def fold_name(name: str) -> str:
    """Return a name as it is searched: without accents, case or double spaces."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(_FOLDED))
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).casefold().split())


def name_key(first_name: str, last_name: str) -> str:
    """Return the key by which holders stand in order of name; a few letters fold into two, so it is cut where it must be."""
    return fold_name(f"{last_name} {first_name}")[:LONGEST_NAME_KEY]
