"""The order in which steps begin: the plan's, as far as what they follow is settled."""

from __future__ import annotations

import heapq

from lib_copier.graph.step import Plan, Step


class Waiting:
    """The steps of a plan that have not begun; each change costs the same however many there are."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        self._left = len(plan.steps)
        self._ready: list[int] = []
        self._aside: list[int] = []
        self._missing: list[int] = []
        self._followers: dict[str, list[int]] = {}
        for place, step in enumerate(plan):
            self._missing.append(len(step.follows))
            for before in step.follows:
                self._followers.setdefault(before, []).append(place)
            if not step.follows:
                self._ready.append(place)

    def __bool__(self) -> bool:
        return self._left > 0

    def next(self) -> tuple[int, Step] | None:
        """Take out the first step of the plan that may begin, with its place; None where none may yet."""
        if not self._ready:
            return None
        self._left -= 1
        place = heapq.heappop(self._ready)
        return place, self._steps[place]

    def settle(self, step_id: str) -> None:
        """A step is done or left: those that follow it have one less to wait for."""
        for place in self._followers.get(step_id, ()):
            self._missing[place] -= 1
            if not self._missing[place]:
                heapq.heappush(self._ready, place)

    def set_aside(self, place: int) -> None:
        """Put a step back that shall not be looked at again before `recall`."""
        self._left += 1
        self._aside.append(place)

    def recall(self) -> None:
        """Let the steps that were set aside begin again."""
        for place in self._aside:
            heapq.heappush(self._ready, place)
        self._aside.clear()
