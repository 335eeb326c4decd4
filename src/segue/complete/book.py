"""Music that is known as a whole, to be looked up in: what stands when, and what follows what."""

from __future__ import annotations

from bisect import bisect_left

from segue.complete.encoding import REST, Events


class Book:
    """Music that is known as a whole: where its events begin, and what follows what. Never changed."""

    def __init__(self, events: Events) -> None:
        self.starts: list[int] = events.start.tolist()
        self.pitches: list[int] = events.pitch.tolist()
        self.durations: list[int] = events.duration.tolist()
        self.index = {start: i for i, start in enumerate(self.starts)}
        self._followers: dict[tuple[int, ...], list[int]] = {}
        self._shapes: dict[tuple[int, ...], list[int]] = {}
        p, d = self.pitches, self.durations
        for i in range(2, len(p)):
            self._followers.setdefault((p[i - 2], d[i - 2], p[i - 1], d[i - 1]), []).append(i)
            if i >= 3 and REST not in (p[i - 3], p[i - 2], p[i - 1]):
                shape = (p[i - 2] - p[i - 3], p[i - 1] - p[i - 2], d[i - 2], d[i - 1])
                self._shapes.setdefault(shape, []).append(i)

    def follower(self, context: tuple[int, ...], since: int) -> int:
        """First event that follows the context (pitch, duration, pitch, duration) known from event `since`
        on, or -1.
        """
        return _first(self._followers.get(context), since + 2)

    def after_shape(self, shape: tuple[int, ...], since: int) -> int:
        """The same for a shape: two intervals and two durations."""
        return _first(self._shapes.get(shape), since + 3)


def _first(found: list[int] | None, least: int) -> int:
    if not found:
        return -1
    i = bisect_left(found, least)
    return found[i] if i < len(found) else -1
