"""Windows begin and end where docs/figures.md says, and a question that makes no sense says what would."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.errors import SourceError
from attune_monitoring.query import Filter, Query, Window, dimensions_of, metric_of

NOW = datetime(2026, 11, 23, 12, 34, 56, 789, UTC)
HOUR = Window.of("1h")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana")
MOMENTS = st.datetimes(min_value=datetime(1975, 1, 1), max_value=datetime(2037, 1, 1), timezones=st.just(UTC))


def bounds(window: Window, now: datetime = NOW) -> tuple[str, str]:
    start, end = window.bounds(now)
    return start.isoformat(), end.isoformat()


class TestText:
    @pytest.mark.parametrize(
        ("text", "window"),
        [
            ("90s", Window(seconds=90)),
            ("5m", Window(seconds=300)),
            ("24h", Window(seconds=86400)),
            ("7d", Window(seconds=604800)),
            ("2w", Window(seconds=1209600)),
            ("today", Window(calendar="day")),
            ("day", Window(calendar="day")),
            ("week", Window(calendar="week")),
            ("month", Window(calendar="month")),
        ],
    )
    def test_names_a_window(self, text, window):
        assert Window.of(text) == window

    @pytest.mark.parametrize("text", ["", "5", "m", "0h", "-5m", "5 m", "1.5h", "5M", "year", "٥m", "5m\n", "1234567s"])
    def test_that_names_none_is_told_what_would(self, text):
        with pytest.raises(SourceError, match="write 5m, 24h, 7d, or today, week, month"):
            Window.of(text)


class TestRolling:
    @pytest.mark.parametrize(
        ("text", "start"),
        [
            ("30s", "2026-11-23T12:34:00+00:00"),
            ("5m", "2026-11-23T12:29:00+00:00"),
            ("48h", "2026-11-21T12:34:00+00:00"),
            ("49h", "2026-11-21T11:00:00+00:00"),
            ("7d", "2026-11-16T12:00:00+00:00"),
        ],
    )
    def test_begins_at_a_full_minute_or_hour_and_ends_now(self, text, start):
        assert bounds(Window.of(text)) == (start, NOW.isoformat())

    def test_full_hours_are_those_of_utc(self):
        window = Window.of("7d")
        assert window.bounds(NOW.astimezone(ZoneInfo("Asia/Kolkata"))) == window.bounds(NOW)

    @given(now=MOMENTS, seconds=st.integers(1, 40 * 86400), back=st.integers(0, 4))
    def test_one_that_lies_back_ends_where_the_next_begins(self, now, seconds, back):
        earlier, later = Window(seconds, back=back + 1).bounds(now), Window(seconds, back=back).bounds(now)
        assert earlier[1] == later[0]

    @given(now=MOMENTS, seconds=st.integers(1, 40 * 86400))
    def test_is_as_long_as_asked_for_and_less_than_a_step_longer(self, now, seconds):
        start, end = Window(seconds).bounds(now)
        step = 60 if seconds <= 48 * 3600 else 3600
        assert end == now
        assert timedelta(seconds=seconds) <= end - start < timedelta(seconds=seconds + step)


class TestCalendar:
    @pytest.mark.parametrize(
        ("calendar", "back", "start", "end"),
        [
            ("day", 0, "2026-11-23T00:00:00+00:00", NOW.isoformat()),
            ("week", 0, "2026-11-23T00:00:00+00:00", NOW.isoformat()),
            ("month", 0, "2026-11-01T00:00:00+00:00", NOW.isoformat()),
            ("day", 1, "2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
            ("week", 2, "2026-11-09T00:00:00+00:00", "2026-11-16T00:00:00+00:00"),
            ("month", 11, "2025-12-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
            ("month", 9, "2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"),
        ],
    )
    def test_begins_at_midnight_and_ends_now_or_where_the_next_begins(self, calendar, back, start, end):
        assert bounds(Window(calendar=calendar, time_zone="UTC", back=back)) == (start, end)

    @pytest.mark.parametrize("day", range(23, 30))
    def test_weeks_begin_on_monday(self, day):
        window = Window(calendar="week", time_zone="Europe/Berlin")
        assert bounds(window, datetime(2026, 11, day, 12, tzinfo=UTC))[0] == "2026-11-22T23:00:00+00:00"

    def test_a_month_back_from_the_31st_is_the_month_before(self):
        window = Window(calendar="month", time_zone="UTC", back=1)
        start, end = bounds(window, datetime(2026, 3, 31, 12, tzinfo=UTC))
        assert (start, end) == ("2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00")

    @pytest.mark.parametrize(
        ("now", "hours"),
        [
            (datetime(2026, 3, 30, 12, tzinfo=UTC), 23),
            (datetime(2026, 10, 26, 12, tzinfo=UTC), 25),
            (datetime(2026, 10, 27, 12, tzinfo=UTC), 24),
        ],
    )
    def test_a_day_with_a_clock_change_has_23_or_25_hours(self, now, hours):
        start, end = Window(calendar="day", time_zone="Europe/Berlin", back=1).bounds(now)
        assert end - start == timedelta(hours=hours)

    def test_a_day_without_a_midnight_begins_with_the_clock_change(self):
        # In Havana, 8 March 2026 begins at 01:00: at midnight the clock goes forward.
        window = Window(calendar="day", time_zone="America/Havana")
        assert bounds(window, datetime(2026, 3, 8, 12, tzinfo=UTC))[0] == "2026-03-08T05:00:00+00:00"

    def test_a_day_with_two_midnights_begins_with_the_first_hour(self):
        # In Havana the clock goes back from 01:00 to 00:00 on 1 November 2026.
        window = Window(calendar="day", time_zone="America/Havana", back=1)
        start, end = window.bounds(datetime(2026, 11, 2, 12, tzinfo=UTC))
        assert (start.isoformat(), end - start) == ("2026-11-01T04:00:00+00:00", timedelta(hours=25))

    @given(
        now=MOMENTS,
        zone=st.sampled_from(ZONES),
        calendar=st.sampled_from(("day", "week", "month")),
        back=st.integers(0, 40),
    )
    def test_one_that_lies_back_ends_where_the_next_begins(self, now, zone, calendar, back):
        def window(back: int) -> Window:
            return Window(calendar=calendar, time_zone=zone, back=back)

        earlier, later = window(back + 1).bounds(now), window(back).bounds(now)
        assert earlier[1] == later[0]
        assert earlier[0] < earlier[1]

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be set for one process")
    def test_the_local_zone_is_the_machines(self, monkeypatch):
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            local = [Window(calendar=one, back=1).bounds(NOW) for one in ("day", "week", "month")]
        finally:
            monkeypatch.undo()
            time.tzset()
        named = [Window(calendar=one, time_zone="America/New_York", back=1) for one in ("day", "week", "month")]
        assert local == [window.bounds(NOW) for window in named]

    @pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "\x00", "Berlin"])
    def test_a_zone_that_does_not_exist_is_told_and_how_to_write_one(self, zone):
        with pytest.raises(SourceError, match=r"no time zone: .*write one like Europe/Berlin or UTC"):
            Window(calendar="day", time_zone=zone).bounds(NOW)


@pytest.mark.parametrize(
    "window",
    [
        Window.of("999999w"),
        Window(seconds=86400, back=10**6),
        Window(calendar="day", back=10**9),
        Window(calendar="week", time_zone="UTC", back=10**6),
        Window(calendar="month", time_zone="UTC", back=10**5),
    ],
)
def test_a_window_from_before_the_calendar_is_refused(window):
    with pytest.raises(SourceError, match="begins before the year 1"):
        window.bounds(NOW)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (Filter("model", ("a", "b")), "a", True),
        (Filter("model", ("a", "b")), "c", False),
        (Filter("model", ("a", "b"), negated=True), "a", False),
        (Filter("model", ("a", "b"), negated=True), "", True),
        (Filter("model", ("",)), "", True),
        (Filter("model", ()), "a", False),
    ],
)
def test_a_filter_holds_for_its_values_or_for_all_others(condition, value, holds):
    assert condition.holds(value) is holds


COST = "attune.llm.cost"
DURATION = "attune.llm.duration"
CALLS = "attune.llm.calls"


@pytest.mark.parametrize(
    "query",
    [
        Query(COST, HOUR),
        Query(COST, HOUR, "rate"),
        Query(DURATION, HOUR, "p95", group_by=("attune.outcome",)),
        Query(DURATION, HOUR, "count", filters=(Filter("attune.outcome", ("ok",)),)),
        Query("attune.llm.errors", HOUR, "ratio", divisor=Query(CALLS, HOUR)),
        Query(CALLS, HOUR, "ratio", group_by=("attune.outcome",), divisor=Query(CALLS, HOUR)),
    ],
)
def test_a_question_that_makes_sense_passes(query: Query):
    query.check()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (lambda: Query("attune.llm.costs", HOUR), r"metric 'attune\.llm\.costs' \(did you mean attune\.llm\.cost\?\)"),
        (lambda: Query("zzz", HOUR), r"no metric 'zzz'$"),
        (lambda: Query("gen_ai.client.token.usage", HOUR), r"no metric 'gen_ai\.client\.token\.usage'"),
        (lambda: Query(COST, HOUR, "p95"), "attune.llm.cost is a .*counter: ask for sum, rate, ratio"),
        (lambda: Query(CALLS, HOUR, group_by=("attune.outcom",)), r"did you mean attune\.outcome\?.*it has"),
        (lambda: Query(COST, HOUR, filters=(Filter("user", ("ann",)),)), "attune.llm.cost has no dimension 'user'"),
        (lambda: Query(COST, HOUR, "ratio"), "a ratio needs a divisor"),
        (lambda: Query(COST, HOUR, divisor=Query(CALLS, HOUR)), "a ratio needs a divisor, and nothing else has one"),
        (
            lambda: Query(COST, HOUR, "ratio", divisor=Query(CALLS, HOUR, group_by=("attune.outcome",))),
            "grouped by nothing that the ratio is not grouped by",
        ),
        (
            lambda: Query(COST, HOUR, "ratio", divisor=Query(CALLS, HOUR, "ratio", divisor=Query(CALLS, HOUR))),
            "a divisor is a plain query",
        ),
        (lambda: Query(COST, HOUR, "ratio", divisor=Query("attune.llm.call", HOUR)), r"mean attune\.llm\.calls\?"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_says_what_would(query: Callable[[], Query], message: str):
    with pytest.raises(SourceError, match=message):
        query().check()


def test_dimensions_are_those_of_the_metric():
    assert dimensions_of(CALLS) == metric_of(CALLS).dimensions
    assert "attune.outcome" in dimensions_of(CALLS)
