"""Days and months of the calendar, which begin where a programme has its time zone."""

from calendar import monthrange
from datetime import date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

D = TypeVar("D", bound=date)  # a datetime is one too


def day_of(instant: datetime, time_zone: str) -> date:
    """Return the day of an instant in a time zone, by its IANA name."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def months_after(start: D, months: int) -> D:
    """Return the same day so many months later, or the last day of a shorter month; a time of day stays."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def months_before(day: D, months: int) -> D:
    """Return the same day so many months earlier, or the last day of a shorter month."""
    return months_after(day, -months)
