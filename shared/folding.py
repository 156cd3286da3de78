"""Names of people as they are searched, however they are written."""

import unicodedata


def fold_name(name: str) -> str:
    """Return a name as it is searched: without accents, case or double spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())
