"""How long commands may take by default before they count as overdue; an operator may set other times (TRK-06)."""

import re
from collections.abc import Mapping
from datetime import timedelta

AT_ONCE = timedelta(minutes=1)
MINUTES_15 = timedelta(minutes=15)
ONE_DAY = timedelta(days=1)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ENTRY = re.compile(r"(?P<command>[a-z-]+\.[a-z0-9-]+)\s*=\s*(?P<count>[1-9][0-9]{0,4})(?P<unit>[smhd])\Z")


def read_service_times(text: str | None) -> Mapping[str, timedelta]:
    """Return the times in a text such as ``accounts.cancel-account=30m, accounts.open-account=2d``, by command.

    The units are s, m, h and d. Raises ValueError naming each part that is wrong.
    """
    times: dict[str, timedelta] = {}
    faults = []
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        entry = _ENTRY.match(part)
        if entry is None:
            faults.append(f"{part!r} is not of the form accounts.cancel-account=30m (s, m, h or d)")
        elif entry["command"] in times:
            faults.append(f"{entry['command']} is named twice")
        else:
            times[entry["command"]] = timedelta(**{_UNITS[entry["unit"]]: int(entry["count"])})
    if faults:
        raise ValueError("; ".join(faults))
    return times
