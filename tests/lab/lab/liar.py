# SPDX-License-Identifier: GPL-2.0-or-later
"""A program of its own: liar.py ADDRESS OTHER. A DNS server at ADDRESS that does what the first
label of a name says, and prints each question it gets. OTHER is another address of this side."""

import asyncio
import socket
import sys

import dns.flags
import dns.message
import dns.rrset

TRUE, FALSE = "198.18.10.80", "198.18.66.6"
LATE_S = 0.3


def reply_to(wire, address=TRUE, ttl=60, name=None, count=1):
    q = dns.message.from_wire(wire)
    reply = dns.message.make_response(q, recursion_available=True)
    owner = name or q.question[0].name
    if q.question[0].rdtype == 1:
        addresses = [address] if count == 1 else [f"198.19.{n // 250}.{n % 250 + 1}"
                                                  for n in range(count)]
        reply.answer.append(dns.rrset.from_text(owner, ttl, "IN", "A", *addresses))
    if q.question[0].rdtype == 16:
        reply.answer.append(dns.rrset.from_text_list(
            owner, ttl, "IN", "TXT", [f'"{n:03}{"y" * 252}"' for n in range(240)]))
    return reply


def other_id(wire):
    reply = reply_to(wire, FALSE)
    reply.id ^= 0x5555
    return reply.to_wire()


def other_question(wire):
    lie = dns.message.make_query("bank.test.", "A")
    lie.id = dns.message.from_wire(wire).id
    return reply_to(lie.to_wire(), FALSE).to_wire()


def stowaway(wire):
    """A true answer with a record of somebody else's name beside it."""
    reply = reply_to(wire)
    lie = dns.rrset.from_text("bank.test.", 86400, "IN", "A", FALSE)
    reply.answer.append(lie)
    reply.additional.append(lie)
    return reply.to_wire(max_size=65535)


class Liar(asyncio.DatagramProtocol):
    def __init__(self, other):
        self.other = other

    def connection_made(self, transport):
        self.transport = transport

    def late(self, wire, peer):
        asyncio.get_running_loop().call_later(
            LATE_S, self.transport.sendto, reply_to(wire).to_wire(), peer)

    def datagram_received(self, wire, peer):
        name = dns.message.from_wire(wire).question[0].name
        say, what = self.transport.sendto, str(name).split(".")[0].split("-")[0]
        print(name, flush=True)
        if what in ("id", "onlyid"):
            say(other_id(wire), peer)
        elif what in ("question", "onlyquestion"):
            say(other_question(wire), peer)
        elif what in ("source", "onlysource"):
            self.other.sendto(reply_to(wire, FALSE).to_wire(), peer)
        elif what == "stowaway":
            say(stowaway(wire), peer)
        elif what in ("many", "big"):
            cut = dns.message.make_response(dns.message.from_wire(wire))
            cut.flags |= dns.flags.TC
            say(cut.to_wire(), peer)
        elif what in ("zero", "huge"):
            say(reply_to(wire, ttl=0 if what == "zero" else 2**31).to_wire(), peer)
        elif what == "garbage":
            say(wire[:2] + b"\x81\x80" + b"\xc0\x0c" * 40, peer)
        elif what not in ("silent", "slow"):
            say(reply_to(wire).to_wire(), peer)
        if what in ("id", "question", "source", "slow", "garbage"):
            self.late(wire, peer)


async def many(reader, writer):
    while size := await reader.read(2):
        wire = await reader.readexactly(int.from_bytes(size, "big"))
        reply = reply_to(wire, count=1000).to_wire(max_size=65535)
        writer.write(len(reply).to_bytes(2, "big") + reply)
        await writer.drain()
    writer.close()


async def main():
    address, elsewhere = sys.argv[1:3]
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((elsewhere, 53))
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Liar(other),
                                                              local_addr=(address, 53))
    await asyncio.start_server(many, address, 53)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
