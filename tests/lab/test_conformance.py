# SPDX-License-Identifier: GPL-2.0-or-later
"""What we answer beside what unbound and knot-resolver answer from the same authoritative
server, and what the RFCs say of odd messages."""

import json
import pathlib
import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
ASKS = pathlib.Path(__file__).parent / "lab/dnsasks.py"
PYTHON = "/usr/bin/python3"
PEER = "198.18.0.62"
STUB = "127.0.0.53"
EVERY = ("A", "AAAA", "TXT", "HTTPS", "MX", "NS", "SOA", "CNAME", "SRV", "PTR", "CAA", "DNAME",
         "NAPTR", "TYPE65280", "DS", "DNSKEY", "TLSA", "URI", "LOC", "SSHFP")

UNBOUND = """server:
  interface: {peer}
  access-control: 0.0.0.0/0 allow
  chroot: ""
  username: ""
  directory: "{dir}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  local-zone: "test." nodefault
forward-zone:
  name: "."
  forward-addr: {upstream}
"""
KRESD = """net.listen('{peer}', 53, {{ kind = 'dns' }})
log_level('err')
cache.size = 10 * MB
trust_anchors.remove('.')
modules.unload('priming')
modules.unload('ta_update')
policy.add(policy.all(policy.FLAGS({{'NO_MINIMIZE', 'NO_CACHE'}})))
policy.add(policy.all(policy.FORWARD('{upstream}')))
"""


def questions():
    """Some thousands: every host of the zone, and every kind of record of the odd ones."""
    for n in range(1, zones.NAMES + 1):
        for kind in "A", "AAAA":
            yield f"{zones.name(n)} {kind}"
    odd = ["shop.test", "www.shop.test", "good-alias.shop.test", "long-alias.shop.test",
           "hinted.shop.test", "targeted.shop.test", "plain.shop.test", "bigtxt.shop.test",
           "only4.shop.test", "any-thing.ask.shop.test", "a.b.c.ask.shop.test",
           "bad-alias.shop.test", "nothing.shop.test", "www.nothing.shop.test", "ads.example",
           "x.ads.example", "WwW.ShOp.TeSt", "no-such-tld", "_dmarc.shop.test", "*.shop.test",
           f"{'l' * 63}.shop.test", ".".join(["d" * 60] * 4) + ".test",
           r"dot\.in.shop.test", r"\000zero.shop.test", r"\255high.ask.shop.test", "."]
    for name in odd:
        for kind in EVERY:
            for how in "", " do", " cd", " noedns":
                yield f"{name} {kind}{how}"


def allow_all(lab, **conf):
    return lab.scupperd(rules="allow any any", **conf)


def answers(place, server, asked):
    done = place.run(PYTHON, ASKS, server, input="\n".join(asked))
    assert done.ok, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def serve_peer(lab, command, file, conf):
    path = lab.tmp / file
    path.write_text(conf.format(peer=PEER, upstream=zones.DNS4, dir=lab.tmp))
    peer = lab.far.start(*command, path, *([lab.tmp] if command[0] == "kresd" else []))
    wait_for(lambda: not peer.running or lab.outside.run(
        "kdig", f"@{PEER}", "+time=1", "+retry=0", "www.shop.test").status == "NOERROR",
        f"{command[0]} to answer")
    assert peer.running, peer.err
    return peer


PEERS = ((("unbound", "-d", "-p", "-c"), "unbound.conf", UNBOUND),
         (("kresd", "-n", "-c"), "kresd.conf", KRESD))


def test_answers_as_others_do(lab):
    """rcode, flags, the answer's records and who vouches for there being none, of each."""
    asked = list(questions())
    theirs = {}
    for command, file, conf in PEERS:
        peer = serve_peer(lab, command, file, conf)
        theirs[command[0]] = answers(lab.outside, PEER, asked)
        peer.stop()
    gate = allow_all(lab, single_label="ask")  # else such names never leave the machine
    ours = answers(gate, STUB, asked)
    for name, said in theirs.items():
        assert len(ours) == len(said) == len(asked)
        unlike = [(q, o, t) for q, o, t in zip(asked, ours, said) if o != t]
        print(f"{name}: {len(asked)} questions, {len(unlike)} unlike")
        assert not unlike, "\n".join(map(str, unlike[:20]))
    assert answers(gate, STUB, asked) == ours, "from the cache other than at first"


# --- odd messages, each with what must come back --------------------------------------------

RAW = r"""
import socket, sys
server, lines = sys.argv[1], sys.stdin.read().split("\n")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((server, 53))
s.settimeout(60)
seen = []
for line in lines:
    s.send(bytes.fromhex(line))
while len(seen) < int(sys.argv[2]):
    seen.append(s.recv(65535).hex())
print("\n".join(seen))
"""


def query(name="www.shop.test", kind="A", **can):
    return dns.message.make_query(name, kind, use_edns=can.pop("edns", 0), **can)


def head(number, flags=0x0100, qd=1, an=0, ns=0, ar=0):
    return struct.pack("!6H", number, flags, qd, an, ns, ar)


WWW = b"\3www\4shop\4test\0\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
NOTHING = None


def with_option(code, data, version=0, flags=0):
    ttl = struct.pack("!BBH", 0, version, flags)
    return (b"\0\0\x29\x04\xd0" + ttl + struct.pack("!HHH", len(data) + 4, code, len(data)) + data)


def odd_messages():
    """(what, message, rcode or None for no reply). RFC 8906 7 and 8, RFC 1035 4, RFC 6891 6."""
    n = iter(range(1, 10000))

    def plain(what, rcode, body=WWW, **fields):
        return what, head(next(n), **fields) + body, rcode
    yield plain("plain DNS", "NOERROR")
    yield plain("AD set", "NOERROR", flags=0x0120)
    yield plain("reserved bit set", "NOERROR", flags=0x0140)
    yield plain("RD clear", "NOERROR", flags=0x0000)
    yield plain("unknown type", "NOERROR", WWW[:-4] + b"\xff\0\0\1")
    for opcode in range(1, 16):
        yield plain(f"opcode {opcode}", "NOTIMP", flags=opcode << 11)
    yield plain("EDNS", "NOERROR", WWW + OPT, ar=1)
    yield plain("EDNS 1", "BADVERS", WWW + b"\0\0\x29\x04\xd0\0\1\0\0\0\0", ar=1)
    yield plain("EDNS unknown option", "NOERROR", WWW + with_option(100, b"x"), ar=1)
    yield plain("EDNS 1 unknown option", "BADVERS", WWW + with_option(100, b"x", 1), ar=1)
    yield plain("EDNS unknown flag", "NOERROR", WWW + with_option(100, b"", 0, 0x40), ar=1)
    yield plain("EDNS DO", "NOERROR", WWW + b"\0\0\x29\x04\xd0\0\0\x80\0\0\0", ar=1)
    yield plain("EDNS client cookie", "NOERROR", WWW + with_option(10, b"12345678"), ar=1)
    yield plain("EDNS NSID", "NOERROR", WWW + with_option(3, b""), ar=1)
    yield plain("EDNS client subnet", "NOERROR",
                WWW + with_option(8, b"\0\1\x18\0\xc6\x33\x64"), ar=1)
    yield plain("EDNS padding", "NOERROR", WWW + with_option(12, bytes(64)), ar=1)
    yield plain("EDNS size 0", "NOERROR", WWW + b"\0\0\x29\0\0\0\0\0\0\0\0", ar=1)
    yield plain("two OPT", "FORMERR", WWW + OPT + OPT, ar=2)
    yield plain("OPT of another name", "FORMERR", WWW + b"\1x" + OPT, ar=1)
    yield plain("OPT in the answer section", "FORMERR", WWW + OPT, an=1)
    yield plain("OPT longer than the message", "FORMERR", WWW + OPT[:-2] + b"\0\x10", ar=1)
    yield plain("option longer than OPT", "FORMERR",
                WWW + b"\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0\x20", ar=1)
    yield plain("no question", "FORMERR", b"", qd=0)
    yield plain("two questions", "FORMERR", WWW + WWW, qd=2)
    yield plain("question cut off", "FORMERR", WWW[:-1])
    yield plain("name cut off", "FORMERR", WWW[:6])
    yield plain("label of 64", "FORMERR", b"\x40" + b"a" * 64 + b"\0\0\1\0\1")
    yield plain("label of type 01", "FORMERR", b"\x41\0\0\1\0\1")
    yield plain("pointer to itself", "FORMERR", b"\xc0\x0c\0\1\0\1")
    yield plain("pointer forward", "FORMERR", b"\xc0\x20\0\1\0\1")
    yield plain("name over 255", "FORMERR", (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1")
    yield plain("bytes behind", "NOERROR", WWW + b"junk")
    yield plain("class CH", "NOTIMP", b"\7version\4bind\0\0\x10\0\3")
    yield plain("class NONE", "NOTIMP", WWW[:-2] + b"\0\xfe")
    yield plain("AXFR", "NOTIMP", WWW[:-4] + b"\0\xfc\0\1")
    yield plain("IXFR", "NOTIMP", WWW[:-4] + b"\0\xfb\0\1")
    yield plain("type OPT", "FORMERR", WWW[:-4] + b"\0\x29\0\1")
    yield plain("type 0", "NOTIMP", WWW[:-4] + b"\0\0\0\1")
    yield plain("a response", NOTHING, flags=0x8180)
    yield "eleven bytes", head(next(n))[:11], NOTHING
    yield "one byte", b"x", NOTHING
    yield "TC set", head(next(n), 0x0300) + WWW, "NOERROR"
    yield "answer in a query", head(next(n), an=1) + WWW + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4abcd", \
        "FORMERR"


def test_odd_messages(lab):
    gate = allow_all(lab)
    assert gate.run("kdig", f"@{STUB}", "www.shop.test").status == "NOERROR"
    odd = list(odd_messages())
    lines = [m.hex() for _, m, _ in odd] + [(head(65000) + WWW).hex()]
    due = 1 + sum(rcode is not NOTHING for _, _, rcode in odd)
    done = gate.run(PYTHON, "-c", RAW, STUB, str(due), input="\n".join(lines))
    assert done.ok, done
    got, opcodes = {}, {}
    for line in done.out.split():
        raw = bytearray.fromhex(line)
        assert raw[2] & 0x80, "a reply is a response"
        opcodes[bytes(raw[:2])] = raw[2] >> 3 & 15
        raw[2] &= ~0x78  # dnspython knows some opcodes only
        got[bytes(raw[:2])] = dns.message.from_wire(bytes(raw))
    wrong = []
    for what, message, rcode in odd:
        reply = got.get(message[:2]) if len(message) >= 12 else None
        said = dns.rcode.to_text(reply.rcode()) if reply else None
        if said != rcode:
            wrong.append((what, said, rcode))
        if reply:
            assert opcodes[message[:2]] == message[2] >> 3 & 15, what
        if reply and what.startswith("EDNS"):
            assert reply.edns == 0, (what, reply)
            assert all(o.otype in (dns.edns.OptionType.EDE,) for o in reply.options), what
        elif reply and len(message) == 12 + len(WWW):
            assert reply.edns == -1, (what, "no OPT where none was asked")
        if reply:
            assert not reply.flags & dns.flags.AA, what
            assert bool(reply.flags & dns.flags.RD) == bool(message[2] & 1) or said != "NOERROR"
    assert not wrong, "\n".join(map(str, wrong))
    assert gate.daemon.running and gate.core


def tcp(gate, messages, split=0):
    """Sends them on one connection; the replies, in the order they came."""
    script = r"""
import socket, struct, sys
lines = [bytes.fromhex(x) for x in sys.stdin.read().split()]
split = int(sys.argv[2])
s = socket.create_connection((sys.argv[1], 53), 60)
out = b"".join(struct.pack("!H", len(x)) + x for x in lines)
for at in range(0, len(out), split or len(out)):
    s.sendall(out[at:at + (split or len(out))])
f = s.makefile("rb")
for _ in lines:
    n = f.read(2)
    if len(n) < 2:
        break
    print(f.read(struct.unpack("!H", n)[0]).hex())
"""
    done = gate.run(PYTHON, "-c", script, STUB, str(split), input="\n".join(
        m.hex() for m in messages))
    assert done.ok, done
    return [dns.message.from_wire(bytes.fromhex(line)) for line in done.out.split()]


def test_tcp(lab):
    """RFC 7766: pipelined, answered by id, split down to single bytes, 64 KB answers."""
    gate = allow_all(lab)
    asked = [query(zones.name(n), "A", payload=1232) for n in range(1, 101)]
    for i, q in enumerate(asked):
        q.id = i + 1
    for split in 0, 1:
        replies = {r.id: r for r in tcp(gate, [q.to_wire() for q in asked], split)}
        assert sorted(replies) == list(range(1, 101))
        for q in asked:
            assert q.is_response(replies[q.id]) and replies[q.id].answer
    big = gate.run("kdig", f"@{STUB}", "+retry=0", "bigtxt.shop.test", "TXT")
    assert big.status == "NOERROR" and "TCP" in big.out.upper(), big
    edns = gate.run("kdig", f"@{STUB}", "+ignore", "+bufsize=65535", "bigtxt.shop.test", "TXT")
    assert " tc" in edns.out.split("Flags:")[1].split(";")[0], "no UDP reply over 1232 bytes"
    small = gate.run("kdig", f"@{STUB}", "+ignore", "+noedns", "bigtxt.shop.test", "TXT")
    assert " tc" in small.out.split("Flags:")[1].split(";")[0]
    broken = [query().to_wire(), b"\0\1\2", query("shop.test", "SOA").to_wire()]
    assert len(tcp(gate, broken[:1])) == 1
    assert gate.daemon.running
