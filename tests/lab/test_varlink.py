# SPDX-License-Identifier: GPL-2.0-or-later
"""io.systemd.Resolve on a UNIX socket: Debian's libnss-resolve through getaddrinfo, each call
judged and shown for the program that made it; the socket's own edges by hand."""

import json
import os
import pathlib

import pytest
from lab import zones
from lab.gate import path_of
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
MODULE = "libnss_resolve.so.2"
PYTHON = "/usr/bin/python3"
MAY, MAY_NOT = "www.shop.test", "x.ads.example"

# what comes in the place of the system's files: this program's own view of them
VIEW = """
mount -t tmpfs none /run/systemd 2>/dev/null || { mkdir -p /run/systemd && mount -t tmpfs none /run/systemd; }
mkdir -p /run/systemd/resolve
ln -s "$1" /run/systemd/resolve/io.systemd.Resolve
mount --bind "$2" /etc/nsswitch.conf
shift 2
exec "$@"
"""

# one call on the raw socket: prints the reply, or "closed"
CALL = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read().rstrip(b"\n").replace(b"\n", b"\0") + b"\0")
got = b""
while got.count(b"\0") < int(sys.argv[2]):
    some = s.recv(65536)
    if not some:
        got += b"closed\0"
        break
    got += some
print(got.decode().replace("\0", "\n"), end="")
"""


@pytest.fixture
def served(lab):
    """A daemon with the socket, and run(): a command that resolves by nss-resolve alone."""
    module = pathlib.Path(lab.world.build) / "nss" / MODULE
    if not module.exists():
        pytest.skip(f"needs {module} (quickstart test fetches it: package libnss-resolve)")
    switch = lab.tmp / "nsswitch.conf"
    switch.write_text("passwd: files\nhosts: resolve\n")
    socket = lab.tmp / "resolve.sock"
    getent = lab.program("/usr/bin/getent", "getent")
    python = lab.program(os.path.realpath(PYTHON), "python")
    gate = lab.scupperd(rules=f"allow {getent} {MAY}\nallow {getent} .shop.test\n"
                              f"allow {python} {MAY}", varlink=socket)

    def run(*argv):
        return gate.run("unshare", "-m", "sh", "-c", VIEW, "sh", socket, switch, "env",
                        f"LD_LIBRARY_PATH={module.parent}", *argv)
    return gate, socket, run, getent, python


def test_nss_resolve(lab, served):
    gate, socket, run, getent, python = served
    yes = run(getent, "ahosts", MAY)
    assert yes.ok and zones.WWW4 in yes.out and zones.six(zones.WWW4) in yes.out, yes
    no = run(getent, "ahosts", MAY_NOT)
    assert not no.ok and zones.ADS4 not in no.out, no
    assert zones.WWW4 in run(getent, "ahostsv4", "good-alias.shop.test").out
    assert not run(getent, "ahosts", "nothing.shop.test").ok
    assert "127.0.0.1" in run(getent, "ahostsv4", "localhost").out
    back = run(python, "-c", f"import socket; print(socket.getaddrinfo('{MAY}', 80)[0][4][0])")
    assert back.ok, back
    refused = run(python, "-c", "import socket; socket.getaddrinfo('four.shop.test', 80)")
    assert not refused.ok, refused
    for path, name, verdict in ((getent, MAY, "allow"), (getent, MAY_NOT, "deny"),
                                (python, MAY, "allow"), (python, "four.shop.test", "deny")):
        seen = gate.wait_query(lambda q: path_of(q) == str(path) and q["name"] == name,
                               f"{path}'s {name}")
        assert seen["verdict"] == verdict, seen
    # what an answer opened is open, for who asked alone
    fetch = ("import socket, sys; s = socket.create_connection((sys.argv[1], 80), 30); "
             "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(12))")
    assert run(python, "-c", fetch, MAY).ok
    with lab.capture(f"host {zones.ADS4}") as wire:
        assert not run(python, "-c", fetch, zones.ADS4).ok
        assert not wire.packets()


def call(gate, socket, *messages, replies=None):
    text = "\n".join(m if isinstance(m, str) else json.dumps(m) for m in messages)
    done = gate.run(PYTHON, "-c", CALL, socket, str(replies or len(messages)), input=text)
    assert done.ok, done
    return [line if line == "closed" else json.loads(line) for line in done.out.splitlines()]


def resolve(what, **parameters):
    return {"method": f"io.systemd.Resolve.{what}", "parameters": parameters}


def test_calls(lab):
    socket = lab.tmp / "resolve.sock"
    python = os.path.realpath(PYTHON)
    gate = lab.scupperd(rules=f"allow {python} .shop.test", varlink=socket)
    host, other, address, record, info, nothing = call(
        gate, socket, resolve("ResolveHostname", name=MAY, family=2),
        resolve("ResolveHostname", name=MAY_NOT), resolve("ResolveAddress", family=2,
                                                           address=[127, 0, 0, 1]),
        resolve("ResolveRecord", name="bigtxt.shop.test", type=16),
        {"method": "org.varlink.service.GetInfo"}, resolve("Nothing"))
    found = host["parameters"]
    assert found["addresses"][0]["address"] == [int(b) for b in zones.WWW4.split(".")], host
    assert found["name"] == MAY and found["addresses"][0]["family"] == 2
    assert other["error"].startswith("io.systemd.Resolve."), other
    assert "localhost" in json.dumps(address), address
    assert len(record["parameters"]["rrs"]) >= 1, record
    assert "io.systemd.Resolve" in info["parameters"]["interfaces"], info
    assert nothing["error"] == "org.varlink.service.MethodNotFound"
    assert call(gate, socket, "no JSON at all", replies=1) == ["closed"]
    # the socket outlives a core; who is asked meanwhile waits
    gate.kill_core()
    assert "parameters" in call(gate, socket, resolve("ResolveHostname", name=MAY))[0]
    # outside of the scope: shown as such, answered
    outside = lab.outside.run(PYTHON, "-c", CALL, socket, "1",
                              input=json.dumps(resolve("ResolveHostname", name=MAY)))
    assert "addresses" in outside.out, outside
    wait_for(lambda: gate.status()["counters"].get("outside", 0) > 0, "it to be counted")
    assert gate.status()["counters"].get("unknown", 0) == 0
    gate.stop()
    assert not socket.exists(), "the socket is taken away"


def test_a_live_socket_is_not_stolen(lab):
    path = lab.tmp / "taken.sock"
    holder = lab.outside.start(PYTHON, "-c", "import socket, sys, time\n"
                               "s = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\n"
                               "s.listen()\nprint('ready', flush=True)\nsys.stdin.read()", path)
    holder.wait_out("ready")
    gate = lab.scupperd(varlink=path, expect_ready=False)
    gate.daemon.wait(60)
    assert str(path) in gate.log and str(holder.pid) in gate.log, gate.log
    assert path.exists()
    holder.stop()


# Three calls on one connected socket: by who connected, by its child, by what it became.
PASSED = r"""
import json, os, socket, sys
path, name = sys.argv[1:3]
call = json.dumps({"method": "io.systemd.Resolve.ResolveHostname",
                   "parameters": {"name": name}}).encode() + b"\0"
AFTER = '''
import socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
s.sendall(bytes.fromhex(sys.argv[2]))
got = b""
while not got.endswith(b"\\0"):
    some = s.recv(65536)
    if not some:
        break
    got += some
print(got.decode().rstrip("\\0") or "closed", flush=True)
'''
def connected():
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.set_inheritable(True)
    return s
def run(s, program):
    os.execv(program, [program, "-c", AFTER, str(s.fileno()), call.hex()])
s = connected()
s.sendall(call)
got = b""
while not got.endswith(b"\0"):
    got += s.recv(65536)
print(got.decode().rstrip("\0"), flush=True)
child = os.fork()
if child == 0:
    run(s, sys.argv[3])
os.waitpid(child, 0)
run(connected(), sys.argv[3])
"""


def test_a_socket_that_others_write_to_is_nobodys(lab):
    """The control is the first call; then a child of another program, then another program in
    the same process."""
    socket = lab.tmp / "resolve.sock"
    first, other = (lab.program(os.path.realpath(PYTHON), n) for n in ("first", "other"))
    gate = lab.scupperd(rules=f"allow {first} .shop.test", varlink=socket)
    said = gate.run(first, "-c", PASSED, socket, MAY, other)
    lines = said.out.splitlines()
    assert said.ok and len(lines) == 3 and "addresses" in lines[0], said
    assert not any("addresses" in line for line in lines[1:]), said
    refused = [q for q in gate.queries() if q["verdict"] == "deny"]
    assert refused and not any(path_of(q) == str(first) for q in refused), refused
