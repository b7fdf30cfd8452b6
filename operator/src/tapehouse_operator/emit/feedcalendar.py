"""Trading hours: those of well-known markets, and those a feed declares."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.tradefeed import WORKDAYS, Day, Hours, Session
from tapehouse_operator.emit.events import Event
from tapehouse_operator.errors import SpecError

Market = tuple[str, tuple[tuple[str, str], ...]]
CALENDARS: Mapping[str, Market] = {
    "always": ("UTC", ()),
    "XAMS": ("Europe/Amsterdam", (("09:00", "17:30"),)),
    "XETR": ("Europe/Berlin", (("09:00", "17:30"),)),
    "XHKG": ("Asia/Hong_Kong", (("09:30", "12:00"), ("13:00", "16:00"))),
    "XLON": ("Europe/London", (("08:00", "16:30"),)),
    "XNAS": ("America/New_York", (("09:30", "16:00"),)),
    "XNYS": ("America/New_York", (("09:30", "16:00"),)),
    "XPAR": ("Europe/Paris", (("09:00", "17:30"),)),
    "XTKS": ("Asia/Tokyo", (("09:00", "11:30"), ("12:30", "15:30"))),
}
"""Time zone and regular hours, Monday to Friday, by market identifier code."""


def session_of(session: Session, events: Sequence[Event]) -> dict[str, Any] | None:
    """`session` of `feed.json`, None when nothing is watched.

    Raises:
        SpecError: the calendar, the time zone or a day does not exist.
    """
    if session == Session():
        return None
    path = "spec.session"
    if session.calendar not in CALENDARS:
        remedy = f"known are {', '.join(CALENDARS)}; for another market declare hours"
        raise SpecError(Reason.INVALID, f"{path}.calendar", session.calendar, remedy)
    zone, regular = CALENDARS[session.calendar]
    zone = session.timezone or zone
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        remedy = "give an IANA name such as America/New_York"
        raise SpecError(Reason.INVALID, f"{path}.timezone", zone, remedy) from error
    hours = session.hours or tuple(
        Hours(days=WORKDAYS, open=opens, close=closes) for opens, closes in regular
    )
    names = {event.name for event in events}
    halts = {"halt": session.halt, "resume": session.resume}
    return {
        "timezone": zone,
        "hours": [
            {
                "days": [list(Day).index(day) for day in each.days],
                "open": f"{each.open}:00",
                "close": f"{each.close}:00",
            }
            for each in hours
        ],
        "holidays": [_day(text, place) for place, text in enumerate(session.holidays)],
        "silence": session.silence,
        "halts": halts if names.issuperset(halts.values()) else None,
    }


def _day(text: str, place: int) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        path = f"spec.session.holidays[{place}]"
        raise SpecError(Reason.INVALID, path, text, "there is no such day") from error
