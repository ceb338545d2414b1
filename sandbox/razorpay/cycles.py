"""When billing cycles begin and end: days of Indian time, counted from the day on which the first one began."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30))
DAY = 86_400
DAYS = {"daily": 1, "weekly": 7}
MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
PERIODS = (*DAYS, *MONTHS)


def day_of(moment: int) -> date:
    """The Indian day of a moment in Unix seconds."""
    return datetime.fromtimestamp(moment, IST).date()


def midnight(day: date) -> int:
    """The first second of an Indian day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=IST).timestamp())


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def boundary(anchor: int, period: str, interval: int, number: int) -> int:
    """When cycle `number` begins. The first one (0) begins at `anchor`, the others at midnight in India.

    Months are counted from the anchor, so that 31 January leads to 28 February and 31 March.
    """
    if number == 0:
        return anchor
    start = day_of(anchor)
    if period in DAYS:
        return midnight(start + timedelta(days=DAYS[period] * interval * number))
    return midnight(_months_later(start, MONTHS[period] * interval * number))


def days_between(start: int, end: int) -> int:
    """Whole Indian days from one moment's day to another's."""
    return (day_of(end) - day_of(start)).days


def years(period: str, interval: int, count: int) -> float:
    """About how long so many cycles last."""
    if period in DAYS:
        return DAYS[period] * interval * count / 365
    return MONTHS[period] * interval * count / 12
