"""Which steps charts show, and the one that is pointed at: the same for all charts of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

_CLOSER = 0.5
_LEAST_STEPS = 8
_PAN_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class ChartWindow:
    """The steps [first, last], or all of them; ``crosshair`` is the step pointed at.

    ``last`` None goes with the run: the window's width stays, its end is the newest step.
    """

    first: int | None = None
    last: int | None = None
    crosshair: int | None = None
    width: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all steps are shown."""
        return self.first is None and not self.width

    def bounds(self, end: int) -> tuple[int, int]:
        """The first and last step shown of a chart that ends at ``end``."""
        if self.is_whole:
            return 0, end
        if self.last is None:
            return max(0, end - self.width), end
        return self.first or 0, self.last

    def zoomed(self, direction: int, end: int, at: int | None = None) -> ChartWindow:
        """Closer (1) or further (-1), around ``at``, else the crosshair, else the right end."""
        first, last = self.bounds(end)
        centre = at if at is not None else self.crosshair
        factor = _CLOSER if direction > 0 else 1 / _CLOSER
        width = max(_LEAST_STEPS, round((last - first) * factor))
        if width >= end:
            return ChartWindow(crosshair=self.crosshair)
        if centre is None and (self.last is None):
            return ChartWindow(width=width, crosshair=self.crosshair)
        centre = last if centre is None else centre
        share = (centre - first) / max(1, last - first)
        return self._at(round(centre - share * width), width, end)

    def panned(self, direction: int, end: int) -> ChartWindow:
        """A quarter of the window to the right (1) or left (-1); all of it stays all of it."""
        if self.is_whole:
            return self
        first, last = self.bounds(end)
        width = last - first
        return self._at(first + round(direction * width * _PAN_SHARE), width, end)

    def pointed(self, step: int | None) -> ChartWindow:
        """Point at a step, or at none."""
        return replace(self, crosshair=step)

    def showing(self, step: int, end: int) -> ChartWindow:
        """Moved, if need be, so that a step is in it."""
        first, last = self.bounds(end)
        if first <= step <= last:
            return self
        width = last - first
        return self._at(step if step < first else step - width, width, end)

    def _at(self, first: int, width: int, end: int) -> ChartWindow:
        if first + width >= end:  # at the end it goes with the run
            return ChartWindow(width=width, crosshair=self.crosshair)
        first = max(0, first)
        return ChartWindow(first, first + width, self.crosshair)
