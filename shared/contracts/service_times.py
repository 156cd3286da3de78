"""How long commands may take by default before they count as overdue; an operator may set other times (TRK-06)."""

from datetime import timedelta

AT_ONCE = timedelta(minutes=1)
ONE_DAY = timedelta(days=1)
