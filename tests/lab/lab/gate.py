# SPDX-License-Identifier: GPL-2.0-or-later
"""scupperd under test: its files, its processes, and what its API and command say."""

import http.client
import json
import os
import pathlib
import signal
import socket
import urllib.parse

from . import cgroup, zones
from .process import Result, wait_for

SECTIONS = {
    "daemon": ("instance", "state-dir", "runtime-dir", "scope", "mode", "default",
               "default-in", "when-down", "rules", "log"),
    "resolver": ("listen", "upstream", "fallback", "bootstrap",
                 "upstream-policy", "tls-ca", "route", "search", "record", "rewrite", "special",
                 "rebind-allow", "links", "single-label", "refusal", "cache-size", "dnssec",
                 "trust-anchor", "root-hints", "varlink", "cache-min-ttl", "cache-max-ttl",
                 "cache-max-negative-ttl", "serve-stale", "prefetch", "cache-persist"),
    "gate": ("port", "peek", "peek-ports"),
    "geo": ("country", "city", "asn"),
    "history": ("keep", "max-size", "queries"),
    "web": ("group", "users", "readers"),
}


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def rule_text(record):
    """The text of the rule that decided a query or flow, None for the default."""
    rule = record.get("rule")
    return rule["text"] if isinstance(rule, dict) else rule


def path_of(record):
    """The program's path in a query or flow."""
    actor = record.get("actor")
    return actor["path"] if isinstance(actor, dict) else actor


class Gate:
    def __init__(self, lab, rules, default, conf, scupperd="scupperd"):
        self.lab, self.world = lab, lab.world
        self.dir = lab.tmp / f"gate{len(lab.gates)}"
        self.rules_dir = self.dir / "rules.d"
        self.rules_dir.mkdir(parents=True)
        for file, text in (rules if isinstance(rules, dict) else {"lab": rules}).items():
            self.write_rules(text, file)
        scope = "/" + str(lab.scope.path.relative_to(cgroup.mount()))
        self.conf = {"scope": scope, "default": default, "state-dir": self.dir / "state",
                     "runtime-dir": self.dir / "run", "rules": self.rules_dir,
                     "upstream": zones.DNS4, "log": "debug",
                     **{key.replace("_", "-"): value for key, value in conf.items()}}
        self.file = self.dir / "scupper.conf"
        self.socket = pathlib.Path(self.conf["runtime-dir"]) / "control.sock"
        self.scupperd = self.world.build / scupperd
        self.scupper = self.world.build / "scupper"
        self.daemon = None
        self.run, self.start = lab.inside.run, lab.inside.start

    def write_rules(self, text, file="lab"):
        """A rule file, replaced as a whole."""
        new = self.rules_dir / f"{file}.new"
        new.write_text(text if text.endswith("\n") else text + "\n")
        new.rename(self.rules_dir / f"{file}.rules")

    def write_conf(self):
        lines = []
        for section, keys in SECTIONS.items():
            lines.append(f"[{section}]")
            for key in keys:
                values = self.conf.get(key)
                if values is None:
                    continue
                for value in values if isinstance(values, (list, tuple)) else [values]:
                    lines.append(f"{key}={value}")
        self.file.write_text("\n".join(lines) + "\n")

    # its life

    def start_daemon(self, expect_ready=True):
        if not self.file.exists():
            self.write_conf()
        self.daemon = self.world.daemon.start(self.scupperd, "--config", self.file)
        if expect_ready:
            self.wait_log("scupperd: ready")

    @property
    def log(self):
        return self.daemon.err

    def wait_log(self, text, seconds=120):
        def said():
            if text in self.log:
                return True
            assert self.daemon.running, f"scupperd ended with {self.daemon.popen.returncode}: " \
                                        f"{self.log}"
            return False
        wait_for(said, f"{text!r} in scupperd's log", seconds)

    @property
    def pids(self):
        """(supervisor, core, web): the web process is the one without capabilities."""
        supervisor = self.daemon.pid
        task = pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children")
        core = web = None
        for pid in map(int, task.read_text().split()):
            if _capabilities(pid) == 0:
                web = pid
            else:
                core = pid
        return supervisor, core, web

    @property
    def core(self):
        return wait_for(lambda: self.pids[1], "the core to be there")

    def kill_core(self):
        """SIGKILL; returns the pid that died."""
        core = self.core
        os.kill(core, signal.SIGKILL)
        return core

    def reload(self):
        os.kill(self.daemon.pid, signal.SIGHUP)

    @property
    def closed(self):
        return self.conf.get("when-down", "closed") == "closed"

    def stop(self):
        """SIGTERM. With when-down=closed the kernel goes on refusing until down()."""
        result = self.daemon.stop()
        assert result.rc == 0, result
        assert self.closed or not self.leftovers()
        return result

    def kill(self):
        """The whole daemon at once, as an out-of-memory killer would."""
        (self.world.daemon_cgroup / "cgroup.kill").write_text("1")
        self.daemon.wait()
        # a process that is not listed any more may still hold its listeners
        events = self.world.daemon_cgroup / "cgroup.events"
        wait_for(lambda: "populated 0" in events.read_text(), "its children to follow")

    def leftovers(self):
        return [f"table {t}" for t in self.world.near.tables()] + \
            [f"pin {p}" for p in self.world.pins()]

    def clean_up(self):
        """After a story: ends what still runs; returns what would not go."""
        left = []
        if self.daemon and self.daemon.running:
            self.daemon.popen.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(10)
            except AssertionError:
                left = [f"scupperd did not end by SIGTERM: {self.log[-2000:]}"]
                self.kill()
        if self.leftovers() and self.closed:
            self.down()
        return left + self.leftovers()

    def down(self):
        """Takes away what when-down=closed left in the kernel, as a person would."""
        return self.world.daemon.run(self.scupper, "down", "--config", self.file)

    # what it says

    def cli(self, *words, timeout=120):
        done = self.world.daemon.run(self.scupper, "--socket", self.socket, *words,
                                     timeout=timeout)
        return done

    def json(self, *words):
        done = self.cli("--json", *words)
        assert done.ok, done
        return json.loads(done.out)

    def api(self, path, method="GET", body=None, headers=None):
        """(status, object)"""
        conn = _Unix(self.socket)
        try:
            head = {"Content-Type": "application/json"} if body is not None else {}
            head.update(headers or {})
            conn.request(method, "/api/v1/" + path,
                         json.dumps(body) if body is not None else None, head)
            reply = conn.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text else None
        finally:
            conn.close()

    def stream(self, topics):
        """The live stream: (event, data) as they come; ends when the test lets go of it."""
        conn = _Unix(self.socket)
        try:
            conn.request("GET", f"/api/v1/events?topics={topics}")
            event = None
            for raw in conn.getresponse():
                key, _, value = raw.decode().rstrip("\n").partition(": ")
                if key == "event":
                    event = value
                elif key == "data":
                    yield event, json.loads(value)
        finally:
            conn.close()

    def items(self, path, **filters):
        """All of a collection, oldest first."""
        found, cursor = [], None
        if path in ("queries", "flows"):
            filters["limit"] = 1000
        while True:
            query = {**filters, **({"cursor": cursor} if cursor else {})}
            status, page = self.api(f"{path}?{urllib.parse.urlencode(query)}")
            assert status == 200, page
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                return sorted(found, key=lambda item: int(item["id"]))

    def queries(self, **filters):
        return self.items("queries", **filters)

    def flows(self, **filters):
        return self.items("flows", **filters)

    def status(self):
        code, status = self.api("status")
        assert code == 200, status
        return status

    def why(self, *program):
        return self.cli("why", *program)

    def wait_query(self, wanted, what="a query", seconds=60):
        """The last listed query for which wanted(query) holds."""
        return self._wait(self.queries, wanted, what, seconds)

    def wait_flow(self, wanted, what="a flow", seconds=60):
        return self._wait(self.flows, wanted, what, seconds)

    def _wait(self, listed, wanted, what, seconds):
        last = []

        def there():
            last[:] = listed()
            return [item for item in last if wanted(item)]
        try:
            return wait_for(there, what, seconds)[-1]
        except AssertionError as e:
            raise AssertionError(f"{e}; listed were, last ones: {last[-5:]}") from None

    # its rules

    def rule_add(self, text):
        """The id of the new rule."""
        code, added = self.api("rules", "POST", {"text": text})
        assert code in (200, 201), added
        return added["id"]

    def rule_rm(self, number):
        code, said = self.api(f"rules/{number}", "DELETE")
        assert code in (200, 204), said


def _capabilities(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    line = next(x for x in status.splitlines() if x.startswith("CapEff:"))
    return int(line.split()[1], 16)


def closing(lab, to):
    """Connections to an address whose last packets may be still to come."""
    ends = ((lab.outside, "dst"), (lab.far, "src"))
    lines = [line for place, end in ends
             for line in place.run("ss", "-Htan", end, to).out.splitlines()]
    return [line for line in lines if not line.startswith(("LISTEN", "TIME-WAIT"))]


def refused_beside_control(lab, refused, control, to):
    """A refusal counts only beside its control: refused() is tried, and not one packet of it
    reaches the address (nor the v6 one beside it); then control() gets through to the same.
    Both give a Result."""
    wait_for(lambda: not closing(lab, to), f"what went to {to} before to be over")
    with lab.capture_to(to) as wire:
        no = refused()
        assert not no.ok, f"was not refused: {no}"
        assert not wire.packets(), f"left the machine: {[str(p) for p in wire.packets()]}"
        yes = control()
        assert yes.ok, f"the control did not get through: {yes}"
        assert wire.packets(), "the control sent nothing: the refusal proves nothing"
    return no, yes


__all__ = ["Gate", "Result", "path_of", "refused_beside_control", "rule_text"]
