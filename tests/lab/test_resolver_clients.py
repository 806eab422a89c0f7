# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of resolver that programs bring: each may know www.shop.test, and nothing else;
each query is shown for the program that sent it."""

import pathlib
import shutil

import pytest
from lab import zones
from lab.gate import path_of
from lab.process import sh

pytestmark = pytest.mark.usefixtures("bpf")
HERE = pathlib.Path(__file__).parent
MAY, MAY_NOT = "www.shop.test", "x.ads.example"

# What Go's own resolver does: A and AAAA at once from a connected socket each, EDNS of 1232
# bytes, an id that is not ours or a question that is not ours passed over, TCP where cut.
GOISH = r"""
import select, socket, struct, sys, os
def query(name, kind, number):
    q = struct.pack("!6H", number, 0x0100, 1, 0, 0, 1)
    q += b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"
    return q + struct.pack("!HH", kind, 1) + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
def tcp(q):
    s = socket.create_connection(("127.0.0.53", 53), 60)
    s.sendall(struct.pack("!H", len(q)) + q)
    f = s.makefile("rb")
    return f.read(struct.unpack("!H", f.read(2))[0])
asked = {}
for kind in (1, 28):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.53", 53))
    q = query(sys.argv[1], kind, struct.unpack("!H", os.urandom(2))[0])
    s.send(q)
    asked[s] = q
found = 0
while asked:
    ready = select.select(list(asked), [], [], 60)[0]
    if not ready:
        sys.exit(4)
    for s in ready:
        reply, q = s.recv(1232), asked[s]
        if reply[:2] != q[:2] or reply[12:len(q) - 11] != q[12:-11]:
            continue
        if reply[2] & 2:
            reply = tcp(q)
        found += struct.unpack("!H", reply[6:8])[0]
        if len(q) and q[-15:-13] == b"\0\1" and found:
            print(".".join(map(str, reply[-15:-11])))
        del asked[s]
sys.exit(0 if found else 2)
"""
NODE = "require('dns').{how}(process.argv[1], (e, a) => " \
    "{{ if (e) {{ console.error(e.code); process.exit(2); }} console.log([].concat(a)[0]); }})"


def musl(lab):
    out = lab.tmp / "bin" / "musl"
    out.parent.mkdir(exist_ok=True)
    sh("musl-gcc", "-static", "-O1", "-o", out, HERE / "musl.c")
    return out


def clients(lab):
    """name: the command that finds an address and prints it, without the name"""
    python = lab.program("/usr/bin/python3", "python")
    goish = lab.program("/usr/bin/python3", "goish")
    node, cares = (lab.program(shutil.which("node"), n) for n in ("node", "cares"))
    return {
        "getent": (lab.program("/usr/bin/getent", "getent"), "ahosts"),
        "musl": (musl(lab),),
        "python": (python, "-c", "import socket, sys; "
                   "print(socket.getaddrinfo(sys.argv[1], 80)[0][4][0])"),
        "goish": (goish, "-c", GOISH),
        "node": (node, "-e", NODE.format(how="lookup")),
        "cares": (cares, "-e", NODE.format(how="resolve4")),
    }


def test_each_is_answered_and_named(lab):
    if not shutil.which("musl-gcc"):
        pytest.skip("needs musl-gcc (package musl-tools)")
    all_of = clients(lab)
    gate = lab.scupperd(rules="\n".join(f"allow {argv[0]} {MAY}" for argv in all_of.values()))
    begun = [(what, argv, gate.start(*argv, MAY), gate.start(*argv, MAY_NOT))
             for what, argv in all_of.items()]
    for what, argv, yes, no in begun:
        found, refused = yes.wait(), no.wait()
        assert found.ok and (zones.WWW4 in found.out or zones.six(zones.WWW4) in found.out), \
            (what, found)
        assert not refused.ok and zones.ADS4 not in refused.out, (what, refused)
        for name, verdict in ((MAY, "allow"), (MAY_NOT, "deny")):
            seen = gate.wait_query(lambda q: path_of(q) == str(argv[0]) and q["name"] == name,
                                   f"{what}'s query for {name}")
            assert seen["verdict"] == verdict, (what, seen)
    assert gate.status()["counters"].get("unknown", 0) == 0


def test_chromium(lab):
    """Its own resolver, with its own cache, and with no DNS of its own over HTTPS."""
    chromium = "/usr/lib/chromium/chromium"
    if not pathlib.Path(chromium).exists():
        pytest.skip("needs chromium")
    gate = lab.scupperd(rules=f"allow {chromium} {MAY}")
    page = gate.run("chromium", "--headless", "--no-sandbox", "--disable-gpu",
                    "--disable-component-update", f"--user-data-dir={lab.tmp / 'profile'}",
                    "--dump-dom", f"http://{MAY}/")
    assert "hello" in page.out, page
    seen = gate.wait_query(lambda q: q["name"] == MAY)
    assert path_of(seen) == chromium and seen["verdict"] == "allow", seen
    assert all(path_of(q) == chromium for q in gate.queries()), gate.queries()
