# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rules were in force when, and what they let happen: the judge of a random story.

Every slot is a far name with its two addresses, and is one program's alone; so a packet's
destination says whose it is. A change holds from the moment it was begun (the new state) and
until GRACE_S after it was done (the old one): in between either is right."""

import dataclasses

from . import zones

GRACE_S = 0.3  # from "done" to the last packet that was under way through the old rules


@dataclasses.dataclass(frozen=True)
class Slot:
    program: str
    n: int

    @property
    def name(self):
        return zones.name(self.n)

    @property
    def four(self):
        return zones.address4(self.n)

    @property
    def six(self):
        return zones.address6(self.n)


@dataclasses.dataclass(frozen=True)
class Rule:
    """kind: name, address (v4), port (80/tcp of the v4 address), any; no-program (denies the
    whole program) and no-name (denies the slot's name to all), which win."""
    kind: str
    slot: Slot

    @property
    def text(self):
        s = self.slot
        return {"name": f"allow {s.program} {s.name}", "address": f"allow {s.program} {s.four}",
                "port": f"allow {s.program} {s.four}:80/tcp", "any": f"allow {s.program} any",
                "no-program": f"deny {s.program} any high",
                "no-name": f"deny any {s.name} high"}[self.kind]


@dataclasses.dataclass(frozen=True)
class State:
    """What is in force; mode is on, paused or blocked."""
    rules: frozenset = frozenset()
    mode: str = "on"

    def kinds(self, slot):
        """Of the rules in force, those that speak of it."""
        own = {r.kind for r in self.rules if r.slot == slot}
        whole = {r.kind for r in self.rules if r.slot.program == slot.program and
                 r.kind in ("any", "no-program")}
        return own | whole

    def by_name(self, slot):
        return "name" in self.kinds(slot)

    def may_reach(self, slot, six, proto, port):
        """May any packet of the slot's program go there? Whatever it was told of the name."""
        if self.mode != "on":
            return self.mode == "paused"
        kinds = self.kinds(slot)
        if "no-program" in kinds:
            return False
        return ("name" in kinds and "no-name" not in kinds) or "any" in kinds or \
            (not six and ("address" in kinds or
                          ("port" in kinds and (proto, port) == ("tcp", 80))))

    def may_ask(self, slot):
        """May the name leave? One address that a rule may allow is enough: the name is then
        looked up to see."""
        if self.mode != "on":
            return self.mode == "paused"
        kinds = self.kinds(slot)
        opens = any(r.slot.program == slot.program and r.kind in ("address", "port", "any")
                    for r in self.rules)
        return not kinds & {"no-program", "no-name"} and ("name" in kinds or opens)

    def must_reach(self, slot, named, six, proto, port):
        """Is it sure to arrive?"""
        if self.mode != "on":
            return False
        kinds = self.kinds(slot)
        if kinds & {"no-program", "no-name"}:
            return False
        if named:
            return "name" in kinds or "any" in kinds
        return "any" in kinds or (not six and ("address" in kinds or
                                               ("port" in kinds and (proto, port) == ("tcp", 80))))


class Timeline:
    def __init__(self, state, when):
        self.spans = [[when, float("inf"), state]]
        self.open = [self.spans[0]]

    @property
    def now(self):
        """The one state that is in force; not while a change is under way."""
        assert len(self.open) == 1
        return self.open[0][2]

    def begin(self, state, when):
        span = [when, float("inf"), state]
        self.spans.append(span)
        self.open.append(span)

    def done(self, state, when):
        """Of those that were possible this one is: the others were until a moment ago."""
        for span in self.open:
            if span[2] != state:
                span[1] = when + GRACE_S
        self.open = [span for span in self.open if span[2] == state][-1:]
        assert self.open, "a state that nobody began"

    def at(self, began, ended=None):
        ended = began if ended is None else ended
        return [state for start, end, state in self.spans if start <= ended and end >= began]
