"""What a run folder keeps of a study at work, so that a run that ends too soon goes on where it was, to the same bits.

Finished members are kept as they finish, those in the middle of their training every few seconds.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np

from perceptory.kernels import build
from perceptory.runs.run_folder import RunFolder
from perceptory.studies.groups import Who
from perceptory.studies.record import Learned, Place, Record
from perceptory.training.driver import Outcome, Running
from perceptory.training.streamed import Wave

INTERVAL = 5.0  # seconds between two times that states are kept; what a run that ends too soon has to do again
SHARE = 0.1  # of the time that keeping them may take

Stage = Literal["learned", "members", "refit"]
Whose = Sequence[tuple[int, ...]]  # members of a group, or places of what is learned first

_ARRAYS = ("weights", "train_cost", "validation_cost", "output", "auxiliary", "sampled")
_FACTS = tuple(f.name for f in fields(Record) if f.name not in _ARRAYS)
_OF_OUTCOMES = ("weights", "train_cost", "validation_cost", "train_output", "validation_output", "auxiliary")
_FACTS_OF_OUTCOMES = tuple(f.name for f in fields(Outcome) if f.name not in _OF_OUTCOMES)


class Keeping:
    """Parts of one study in its run folder. kernels: those that what was read from there was trained with, in words."""

    def __init__(self, store: RunFolder):
        self._store = store
        self.due = time.monotonic() + INTERVAL  # when states are to be kept again
        self.kernels: dict[str, str] = {}

    def add(self, records: dict[Who, Record]) -> None:
        """Keep finished members."""
        arrays = {f"{i}.{name}": getattr(r, name) for i, r in enumerate(records.values()) for name in _ARRAYS}
        members = [[list(who), {name: getattr(r, name) for name in _FACTS}] for who, r in records.items()]
        self._store.keep("members", arrays, {"members": members, "kernels": self.all_kernels()})

    def members(self) -> dict[Who, Record]:
        """The finished members that are kept."""
        records: dict[Who, Record] = {}
        for arrays, facts in self._store.kept("members"):
            self.kernels |= facts["kernels"]
            for i, (who, values) in enumerate(facts["members"]):
                own: dict[str, Any] = {name: arrays[f"{i}.{name}"] for name in _ARRAYS}
                records[who[0], who[1], who[2]] = Record(**own, **values)
        return records

    def add_at_rung(
        self, number: int, states: dict[Who, tuple[list[np.ndarray], np.ndarray]], outcomes: dict[Who, Outcome]
    ) -> None:
        """Keep members of a group that stand at a rung: their states, and outcomes as if they had ended."""
        arrays = {f"{i}.{name}": getattr(o, name) for i, o in enumerate(outcomes.values()) for name in _OF_OUTCOMES}
        leaves = zip(*(states[who][0] for who in outcomes), strict=True)
        arrays |= {f"state.{k}": np.stack(each) for k, each in enumerate(leaves)}
        arrays |= {f"{i}.costs": states[who][1] for i, who in enumerate(outcomes)}
        members = [[list(who), {name: getattr(o, name) for name in _FACTS_OF_OUTCOMES}] for who, o in outcomes.items()]
        leaves_each = len(next(iter(states.values()))[0])
        facts = {"rung": number, "members": members, "leaves": leaves_each, "kernels": build.told()}
        self._store.keep("rung", arrays, facts)

    def at_rung(
        self, number: int
    ) -> Iterator[tuple[dict[Who, tuple[list[np.ndarray], np.ndarray]], dict[Who, Outcome]]]:
        """What `add_at_rung` has kept of a rung."""
        for arrays, facts in self._store.kept("rung"):
            if facts["rung"] != number:
                continue
            self.kernels |= facts["kernels"]
            states, outcomes = {}, {}
            for i, (who, values) in enumerate(facts["members"]):
                own: dict[str, Any] = {name: arrays[f"{i}.{name}"] for name in _OF_OUTCOMES}
                member = who[0], who[1], who[2]
                outcomes[member] = Outcome(**own, **values)
                states[member] = [arrays[f"state.{k}"][i] for k in range(facts["leaves"])], arrays[f"{i}.costs"]
            yield states, outcomes

    def add_round(self, asked: list[Any]) -> None:
        """Keep which candidates a round asks for, as JSON data."""
        self._store.keep("round", {"none": np.zeros(0)}, {"asked": asked})

    def rounds(self) -> list[list[Any]]:
        """Those that are kept, in their order."""
        return [facts["asked"] for _, facts in self._store.kept("round")]

    def add_decision(self, standing: dict[str, list[int]]) -> None:
        """Keep which candidates go on beyond a rung, by part of the study."""
        self._store.keep("decision", {"none": np.zeros(0)}, {"standing": standing})

    def decisions(self) -> list[dict[str, list[int]]]:
        """Those that are kept, in the order of the rungs."""
        return [facts["standing"] for _, facts in self._store.kept("decision")]

    def add_learned(self, learned: dict[Place, Learned]) -> None:
        """Keep what networks have learned before the study's own targets."""
        arrays = {f"{i}": one.weights for i, one in enumerate(learned.values())}
        facts = {"places": [list(place) for place in learned], "costs": [one.cost for one in learned.values()]}
        self._store.keep("learned", arrays, facts | {"kernels": build.told()})

    def learned(self) -> dict[Place, Learned]:
        """What `add_learned` has kept."""
        found: dict[Place, Learned] = {}
        for arrays, facts in self._store.kept("learned"):
            self.kernels |= facts["kernels"]
            for i, (place, cost) in enumerate(zip(facts["places"], facts["costs"], strict=True)):
                found[place[0], place[1], place[2], place[3]] = Learned(arrays[f"{i}"], cost)
        return found

    def add_refitted(self, networks: dict[int, tuple[str, np.ndarray]]) -> None:
        """Keep networks of the refit: (status, weights) by place."""
        arrays = {f"{place}": weights for place, (_, weights) in networks.items()}
        status = {str(place): status for place, (status, _) in networks.items()}
        self._store.keep("refit", arrays, {"status": status, "kernels": build.told()})

    def refitted(self) -> dict[int, tuple[str, np.ndarray]]:
        """What `add_refitted` has kept."""
        networks: dict[int, tuple[str, np.ndarray]] = {}
        for arrays, facts in self._store.kept("refit"):
            self.kernels |= facts["kernels"]
            networks |= {int(place): (facts["status"][place], arrays[place]) for place in facts["status"]}
        return networks

    def running(self, stage: Stage, who: Whose) -> Running | None:
        """The states that are kept of members of a group, whose members are `who`; None where there are none."""
        kept = self._store.kept_running()
        if kept is None or kept[1]["stage"] != stage:
            return None
        arrays, facts = kept
        place = {member: i for i, member in enumerate(who)}
        here = [i for i, member in enumerate(facts["who"]) if tuple(member) in place]
        if not here:
            return None
        self.kernels |= facts["kernels"]
        places = np.array([place[tuple(facts["who"][i])] for i in here])
        ends = np.cumsum(facts["epochs"])
        costs = np.split(arrays["costs"], ends[:-1])
        state = [arrays[f"state.{k}"][here] for k in range(facts["leaves"])]
        return Running(places, state, [costs[i] for i in here])

    def look(self, stage: Stage, who: Whose) -> Callable[[Callable[[], Running]], None]:
        """What keeps the states of a group's members when the time has come."""

        def look(states: Callable[[], Running]) -> None:
            begun = time.monotonic()
            if begun < self.due:
                return
            running = states()
            if len(running.places):
                arrays = {f"state.{k}": leaf for k, leaf in enumerate(running.state)}
                facts = {
                    "stage": stage,
                    "who": [list(who[place]) for place in running.places],
                    "epochs": [len(costs) for costs in running.costs],
                    "leaves": len(running.state),
                    "kernels": build.told(),
                }
                self._store.keep_running(arrays | {"costs": np.concatenate(running.costs)}, facts)
            self.kept_since(begun)

        return look

    def kept_since(self, begun: float) -> None:
        """States have been kept, which was begun then: set when they are due again."""
        now = time.monotonic()
        self.due = now + max(INTERVAL, (now - begun) / SHARE)

    def stream(self, group: int) -> StreamCheckpoint:
        """What keeps the members of a group that streams, and finds those that were kept."""
        return StreamCheckpoint(self, self._store, group)

    def check_kernels(self) -> None:
        """Raise `InputError` where this process computes with other kernels than what is kept was trained with."""
        for kernel in self.kernels:
            name, dtype = kernel.split(" ")
            build.loads(name, dtype)
        now = build.told()
        for kernel, state in self.kernels.items():
            self._store.check_environment({f"kernel_{kernel}": state}, {f"kernel_{kernel}": now.get(kernel)})

    def all_kernels(self) -> dict[str, str]:
        """Those of what was read and of what was trained here."""
        return self.kernels | build.told()


class StreamCheckpoint:
    """Members in the middle of a stream: `Checkpoint` of `training.streamed`, for one group of a study."""

    def __init__(self, keeping: Keeping, store: RunFolder, group: int):
        self._keeping, self._store, self._group = keeping, store, group

    def due(self) -> bool:
        return time.monotonic() >= self._keeping.due

    def keep(self, wave: Wave) -> None:
        begun = time.monotonic()
        arrays = {f"state.{i:04d}": a for i, a in enumerate(wave.state or [])}
        arrays |= {f"costs.{slot}": np.concatenate(costs) for slot, costs in wave.costs.items() if costs}
        facts = {"stage": "stream", "group": self._group, "number": wave.number, "kernels": build.told()}
        self._store.keep_running(arrays | {"members": wave.members}, facts)
        self._keeping.kept_since(begun)

    def read(self) -> Wave | None:
        """None where there is none, or where it is of another group."""
        kept = self._store.kept_running()
        if kept is None or kept[1]["stage"] != "stream" or kept[1]["group"] != self._group:
            return None
        arrays, facts = kept
        self._keeping.kernels |= facts["kernels"]
        self._keeping.check_kernels()
        costs = {int(name[6:]): [a] for name, a in arrays.items() if name.startswith("costs.")}
        state = [a for name, a in sorted(arrays.items()) if name.startswith("state.")]
        return Wave(arrays["members"].copy(), int(facts["number"]), state, defaultdict(list, costs))
