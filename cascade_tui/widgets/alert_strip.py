"""The alerts of a run in one line; calls somebody at each new one, if that is wanted."""

from __future__ import annotations

import os

from rich.text import Text
from textual.widgets import Static

from cascade_tui.alerts import Alert, ending_alert, find_alerts
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.gpu import GpuReport
from cascade_tui.notifying import NotifyBy, notification
from cascade_tui.screens.alerts import ALERT_STYLES, AlertScreen
from cascade_tui.widgets.glyphs import GLYPHS, printable
from cascade_tui.widgets.shown_keys import shown_key


class AlertStrip(Static):
    """Shows the gravest alert and how many there are; each is called out once."""

    DEFAULT_CSS = """
    AlertStrip {
        width: auto; max-width: 60%; height: 1; margin-right: 2;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self, notify_by: NotifyBy, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._notify_by = notify_by
        self._snapshot: RunSnapshot | None = None
        self._report: GpuReport | None = None
        self._now: tuple[Alert, ...] = ()
        self._told: dict[str, Alert] = {}
        self._seen: set[str] = set()

    @property
    def now(self) -> tuple[Alert, ...]:
        """What is to be looked at."""
        return self._now

    @property
    def earlier(self) -> tuple[Alert, ...]:
        """What was to be looked at, and is no more."""
        now = {alert.id for alert in self._now}
        return tuple(alert for alert in self._told.values() if alert.id not in now)

    def see(self, snapshot: RunSnapshot) -> None:
        """Another moment of the run. What holds when it is opened is shown, not called out."""
        before, self._snapshot = self._snapshot, snapshot
        ending = ending_alert(before, snapshot)
        if ending is not None:
            self._call(ending)
        self._look(is_news=before is not None and not before.is_partial)

    def see_gpus(self, report: GpuReport) -> None:
        """Another moment of the GPUs."""
        is_news = self._report is not None
        self._report = report
        self._look(is_news=is_news)

    def open(self) -> None:
        """Show all of them, with what to do about each; what has passed is seen then."""
        self._seen |= {alert.id for alert in self._now if alert.has_passed}
        self._show()
        self.app.push_screen(AlertScreen(self._now, self.earlier))

    def _look(self, *, is_news: bool) -> None:
        if self._snapshot is None:
            return
        alerts = find_alerts(self._snapshot, self._report)
        new = [alert for alert in alerts if alert.id not in self._told]
        self._told |= {alert.id: alert for alert in alerts}
        if alerts != self._now:
            self._now = alerts
            self._show()
            if isinstance(self.app.screen, AlertScreen):
                self.app.screen.show(alerts, self.earlier)
        for alert in new if is_news else ():
            self._call(alert)

    def _show(self) -> None:
        self.update(strip_text(tuple(a for a in self._now if a.id not in self._seen)))

    def _call(self, alert: Alert) -> None:
        """Have the terminal call somebody, in the way that was asked for."""
        sequence = notification(self._notify_by, alert.message, os.environ)
        driver = self.app._driver
        if sequence and driver is not None:
            driver.write(sequence)
            driver.flush()


def strip_text(alerts: tuple[Alert, ...]) -> Text:
    """The gravest of the alerts, and how many there are; empty without any."""
    if not alerts:
        return Text()
    first = min(alerts, key=lambda alert: tuple(ALERT_STYLES).index(alert.severity))
    count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    key = shown_key("monitor.alerts", "exclamation_mark")
    text = f"{GLYPHS[first.severity]} {count} ({key}): {printable(first.message)}"
    return Text.assemble((text, ALERT_STYLES[first.severity]))  # a whole Text has CSS's yellow
