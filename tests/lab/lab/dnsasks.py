# SPDX-License-Identifier: GPL-2.0-or-later
"""A program of its own: dnsasks.py SERVER < questions. Asks SERVER each "NAME TYPE [FLAG...]"
over UDP, and again over TCP where the answer is truncated, and prints what it said as a line
of JSON, in order: [rcode, flags, answer, negative] with the answer's records sorted, without
TTLs, names in lower case."""

import json
import select
import socket
import sys

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

WINDOW, WAIT_S, TRIES = 64, 10, 3
SAME = dns.flags.QR | dns.flags.RD | dns.flags.RA | dns.flags.CD | dns.flags.AD


def question(line, number):
    name, kind, *how = line.split()
    q = dns.message.make_query(name, kind, use_edns="noedns" not in how, payload=1232,
                               want_dnssec="do" in how)
    q.id = number
    if "cd" in how:
        q.flags |= dns.flags.CD
    if "norec" in how:
        q.flags &= ~dns.flags.RD
    return q


def said(reply):
    """What two servers should say alike of one question."""
    records = sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}".lower()
                     for rrset in reply.answer for rdata in rrset)
    negative = sorted(str(rrset.name).lower() for rrset in reply.authority
                      if rrset.rdtype == dns.rdatatype.SOA)
    return [dns.rcode.to_text(reply.rcode()), dns.flags.to_text(reply.flags & SAME), records,
            negative if not records else []]


def ask_all(server, lines):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((server, 53))
    asked, answers, left = {}, [None] * len(lines), list(enumerate(lines))
    for _ in range(TRIES):
        while left or asked:
            while left and len(asked) < WINDOW:
                i, line = left.pop(0)
                asked[i] = question(line, i % 65536)
                s.send(asked[i].to_wire())
            if not select.select([s], [], [], WAIT_S)[0]:
                break
            wire = s.recv(65535)
            i = next((i for i in asked if i % 65536 == wire[0] << 8 | wire[1]), None)
            if i is None:
                continue
            q = asked.pop(i)
            reply = dns.message.from_wire(wire)
            assert q.is_response(reply), (q, reply)
            if reply.flags & dns.flags.TC:
                reply = dns.query.tcp(q, server, timeout=60)
            answers[i] = said(reply)
        left, asked = [(i, lines[i]) for i in asked] + left, {}
        if not left:
            break
    return answers


def main():
    lines = sys.stdin.read().splitlines()
    for answer in ask_all(sys.argv[1], lines):
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
