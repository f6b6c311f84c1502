"""The order in which steps begin: the plan's, as far as what they follow is settled."""

from __future__ import annotations

import heapq

from lib_copier.graph.step import Plan, Step


class Waiting:
    """The steps of a plan that have not begun; each change costs the same however many there are."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        self._left = len(plan.steps)
        self._ready: dict[bool, list[int]] = {False: [], True: []}
        """Places of steps that may begin, by whether they can do so beside others."""
        self._aside: list[int] = []
        self._missing: list[int] = []
        self._followers: dict[str, list[int]] = {}
        for place, step in enumerate(plan):
            self._missing.append(len(step.follows))
            for before in step.follows:
                self._followers.setdefault(before, []).append(place)
            if not step.follows:
                self._add(place)

    def __bool__(self) -> bool:
        return self._left > 0

    def next(self, *, beside: bool = False) -> tuple[int, Step] | None:
        """Take out the first step of the plan that may begin, with its place; None where none may yet.

        With `beside` the first of those that can run beside others.
        """
        ready = [places for can, places in self._ready.items() if places and (can or not beside)]
        if not ready:
            return None
        self._left -= 1
        place = heapq.heappop(min(ready))
        return place, self._steps[place]

    def settle(self, step_id: str) -> None:
        """A step is done or left: those that follow it have one less to wait for."""
        for place in self._followers.get(step_id, ()):
            self._missing[place] -= 1
            if not self._missing[place]:
                self._add(place)

    def set_aside(self, place: int) -> None:
        """Put a step back that shall not be looked at again before `recall`."""
        self._left += 1
        self._aside.append(place)

    def recall(self) -> None:
        """Let the steps that were set aside begin again."""
        for place in self._aside:
            self._add(place)
        self._aside.clear()

    def _add(self, place: int) -> None:
        heapq.heappush(self._ready[self._steps[place].beside is not None], place)
