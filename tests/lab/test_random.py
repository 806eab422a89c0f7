# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole daemon, at random: programs ask and connect, rules come and go, it is paused,
blocked, killed. No packet and no name leaves that the rules then in force did not allow,
judged by the far side; what they allow all the while arrives.

SCUPPER_STORM says for how many seconds (usually 45), SCUPPER_SEED which story."""

import dataclasses
import http.client
import os
import signal
import time

import pytest
from lab import zones
from lab.capture import RST, read_query
from lab.chance import amount, seeded
from lab.model import Rule, Slot, State, Timeline
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PROGRAMS, SLOTS, FIRST = 5, 3, 251  # 198.18.2.1 and on, 2001:db8:53::1:fb and on
FAR = "net 198.18.2.0/24 or net 2001:db8:53::1:0/112"
KINDS = ("name",) * 6 + ("address",) * 3 + ("port",) * 2 + ("any", "no-program", "no-name")
SETTLED_S = 1.5  # an act is sure to succeed if it was allowed for so long
STRANGE = 8081, 9001  # ports that only the program uses for which there is never a rule


@dataclasses.dataclass
class Act:
    id: str
    slot: Slot
    named: bool
    six: bool
    proto: str
    slow: bool
    port: int
    word: str = ""
    began: float = 0.0
    ended: float = 0.0

    @property
    def line(self):
        host = self.slot.name if self.named else self.slot.six if self.six else self.slot.four
        how = "slow" if self.slow else self.proto
        return f"{self.id} {how}{'6' if self.six else '4'} {host} {self.port}"


def brief(states, slot):
    return [(s.mode, sorted(s.kinds(slot))) for s in states[:3]]


class Player:
    """A process of one program: does one act after the other."""

    def __init__(self, story, path, slots, slow=False, ports=(80, 9000)):
        self.story, self.path, self.slots = story, path, slots
        self.slow, self.ports = slow, ports
        self.acts, self.seen, self.process = [], 0, None
        self.begin()

    def begin(self):
        self.process = self.story.gate.start(self.path, env={"RES_OPTIONS": "timeout:1 attempts:4"})
        self.seen = 0

    def look(self):
        """Reads what it did; True if it waits for something to do."""
        lines = self.process.out.splitlines()
        for line in lines[self.seen:]:
            act = next(a for a in reversed(self.acts) if a.id == line.split()[0])
            _, act.word, began, ended = line.split()
            act.began, act.ended = float(began), float(ended)
            self.seen += 1
        return not self.acts or bool(self.acts[-1].word)

    def play(self, chance):
        if not self.look():
            return
        proto = "tcp" if self.slow else chance.choice(("tcp", "tcp", "udp"))
        self.story.acts += 1
        act = Act(f"a{self.story.acts:06}", chance.choice(self.slots), chance.random() < 0.5,
                  chance.random() < 0.4, proto, self.slow, self.ports[proto == "udp"])
        self.acts.append(act)
        self.process.say(act.line)

    def again(self):
        """Another process of the same program, in the middle of whatever this one did."""
        self.end()
        self.begin()

    def end(self):
        self.process.popen.kill()
        self.process.wait()
        self.look()
        if self.acts and not self.acts[-1].word:
            self.acts.pop()


class Story:
    def __init__(self, lab, chance):
        self.lab, self.chance, self.acts, self.told = lab, chance, 0, {}
        paths = [lab.program(lab.act, f"p{i}") for i in range(PROGRAMS)]
        self.slots = [Slot(str(path), FIRST + i * SLOTS + k)
                      for i, path in enumerate(paths) for k in range(SLOTS)]
        self.file = {Rule("name", slot) for slot in self.slots[::SLOTS]}
        self.gate = lab.scupperd(rules="\n".join(r.text for r in self.file),
                                 when_down="closed")
        self.line = Timeline(State(frozenset(self.file)), time.time())
        self.own, self.down, self.cores = {}, [], []
        self.players = []
        for i, path in enumerate(paths):
            mine = self.slots[i * SLOTS:(i + 1) * SLOTS]
            self.players += [Player(self, path, mine), Player(self, path, mine, slow=True)]
        stranger = lab.program(lab.act, "stranger")
        self.players.append(Player(self, stranger, self.slots, ports=STRANGE))

    # changes

    def change(self, rules=None, mode=None, how=None):
        """how() makes it so, or fails because the core dies: then what came of it is read."""
        old = self.line.now
        new = State(old.rules if rules is None else frozenset(rules), mode or old.mode)
        if new == old:
            return
        self.line.begin(new, time.time())
        try:
            done = how()
        except (OSError, http.client.HTTPException, AssertionError):
            done = False
        if not done:
            self.tell("changes cut short")
            new = self.read(old, new)
        self.line.done(new, time.time())

    def tell(self, what):
        self.told[what] = self.told.get(what, 0) + 1

    def read(self, old, new):
        """Which of the two it is, by what the daemon itself says."""
        def both():
            try:
                status, rules = self.gate.api("rules")
                code, state = self.gate.api("filter")
            except (OSError, http.client.HTTPException):
                return None
            return status == code == 200 and (rules["items"], state["mode"])
        items, mode = wait_for(both, "the API to be back")
        self.own = {r["text"]: r["id"] for r in items if r["source"] == "own"}
        mode = "blocked" if mode.startswith("block") else mode
        texts = set(self.own) | {r.text for r in self.file}
        for state in old, new:
            if {r.text for r in state.rules} == texts and state.mode == mode:
                return state
        raise AssertionError(f"neither {old} nor {new}: {texts} {mode}")

    def add(self):
        rule = Rule(self.chance.choice(KINDS), self.chance.choice(self.slots))
        state = self.line.now
        if any(r.text == rule.text for r in state.rules):
            return

        def how():
            code, made = self.gate.api("rules", "POST", {"text": rule.text})
            if code in (200, 201):
                self.own[rule.text] = made["id"]
            return code in (200, 201)
        self.change(state.rules | {rule}, how=how)

    def remove(self):
        state = self.line.now
        mine = sorted((r for r in state.rules if r.text in self.own), key=lambda r: r.text)
        if not mine:
            return
        rule = self.chance.choice(mine)

        def how():
            code, _ = self.gate.api(f"rules/{self.own[rule.text]}", "DELETE")
            if code in (200, 204):
                del self.own[rule.text]
            return code in (200, 204)
        self.change(state.rules - {rule}, how=how)

    def turn(self):
        mode = self.line.now.mode
        new, word = ("on", "resume") if mode != "on" else \
            self.chance.choice((("paused", "pause"), ("blocked", "block")))
        self.change(mode=new, how=lambda: self.gate.cli(word).ok)

    def kill_core(self):
        began = time.time()
        self.gate.kill_core()
        self.cores.append([began, float("inf")])

    def look_for_core(self):
        """The death of a core is over when the next one says that it runs."""
        if not self.cores or self.cores[-1][1] != float("inf"):
            return
        try:
            code, status = self.gate.api("status")
        except (OSError, http.client.HTTPException):
            return
        if code == 200 and status["core"] == "running":
            for death in self.cores:
                death[1] = min(death[1], time.time() + 0.5)

    def kill_web(self):
        web = self.gate.pids[2]
        if web:
            os.kill(web, signal.SIGKILL)

    def kill_all(self):
        """And while nobody is there, a rule file may change: in force from the start on."""
        old = self.line.now
        began = time.time()
        self.gate.kill()
        rules = set(old.rules)
        if self.file and self.chance.random() < 0.7:
            rules -= {self.chance.choice(sorted(self.file, key=lambda r: r.text))}
        else:
            rule = Rule("name", self.chance.choice(self.slots))
            if not any(r.text == rule.text for r in rules):
                rules.add(rule)
        self.file = {r for r in rules if r.text not in self.own}
        self.gate.write_rules("\n".join(sorted(r.text for r in self.file)) or "# none")
        new = State(frozenset(rules), old.mode)
        if new != old:
            self.line.begin(new, time.time())
        self.gate.start_daemon()
        if new != old:
            self.line.done(new, time.time())
        self.down.append((began, time.time()))

    def step(self):
        what = self.chance.choices(
            (self.add, self.remove, self.turn, self.kill_core, self.kill_all, self.kill_web,
             self.again),
            (50, 30, 6 if self.line.now.mode == "on" else 40, 3, 1, 1, 10))[0]
        self.tell(what.__name__)
        what()
        self.look_for_core()
        until = time.monotonic() + self.chance.uniform(0.02, 0.4)
        while time.monotonic() < until:
            for player in self.players:
                player.play(self.chance)
            time.sleep(0.005)

    def again(self):
        self.chance.choice(self.players).again()

    # the judge

    def slot_of(self, address):
        return next((s for s in self.slots if address in (s.four, s.six)), None)

    def wrong_packets(self, packets):
        wrong = []
        for p in packets:
            if p.proto == "tcp" and p.flags == RST and not p.payload:
                continue  # of no program: the kernel's answer to a packet for one that is gone
            slot = self.slot_of(p.dst)
            states = self.line.at(p.when)
            if p.dport in STRANGE:
                right = any(s.mode == "paused" for s in states)
            else:
                right = any(s.may_reach(slot, ":" in p.dst, p.proto, p.dport) for s in states)
            if not right:
                wrong.append((str(p), p.flags, p.payload[:20], p.when, brief(states, slot)))
        return wrong

    def wrong_queries(self, packets):
        wrong = []
        for p in packets:
            query = read_query(p)
            slot = query and next((s for s in self.slots if s.name == query.name), None)
            if slot and not any(s.may_ask(slot) for s in self.line.at(p.when)):
                wrong.append((query, p.when, brief(self.line.at(p.when), slot)))
        return wrong

    def troubled(self, act, states):
        """A death fell into it: it may fail without anybody's fault; but what the kernel
        knows by a name's grant lives on, once it is there."""
        began, ended = act.began - 0.5, act.ended
        if act.slow and act.named and all(s.by_name(act.slot) for s in states):
            ended = act.began + 2
        return any(start <= ended and end >= began for start, end in self.down + self.cores)

    def lost(self, packets):
        """Acts that were allowed all the while, and did not get through."""
        arrived = {p.payload.decode(errors="replace") for p in packets if p.proto == "udp"}
        lost, checked = [], 0
        for player in self.players[:-1]:
            for act in player.acts:
                states = self.line.at(act.began - SETTLED_S, act.ended)
                if not all(s.must_reach(act.slot, act.named, act.six, act.proto, act.port)
                           for s in states) or self.troubled(act, states):
                    continue
                checked += 1
                if act.word != "ok" or (act.proto == "udp" and act.id not in arrived):
                    lost.append((act.line, act.word, f"{act.ended - act.began:.3f} s", act.began,
                                 brief(states, act.slot)))
        return lost, checked


def test_a_random_story(lab):
    chance, seconds = seeded(), amount("SCUPPER_STORM", 45)
    story = Story(lab, chance)
    ends = time.monotonic() + seconds
    with lab.capture(f"dst {FAR.replace(' or ', ' or dst ')}") as wire:
        while time.monotonic() < ends:
            story.step()
        for player in story.players:
            player.end()
        packets = wire.packets()
    asked = lab.dns._capture.packets()
    acts = sum(len(p.acts) for p in story.players)
    lost, checked = story.lost(packets)
    print(f"{seconds} s: {acts} acts, {checked} of them allowed all the while; "
          f"{len(packets)} packets, {len(asked)} queries upstream; {story.told}")
    wrong = story.wrong_packets(packets)
    assert not wrong, (len(wrong), wrong[:4])
    wrong = story.wrong_queries(asked)
    assert not wrong, (len(wrong), wrong[:4])
    assert not lost, (len(lost), lost[:4])
    assert checked > seconds // 20, "hardly anything was allowed: it shows nothing"
