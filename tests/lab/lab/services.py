# SPDX-License-Identifier: GPL-2.0-or-later
"""Small servers of the far side, run as a program of its own: UDP echo, something like NTP,
TCP that speaks first, TCP that echoes, TCP for many bytes, a DNS server that takes its time."""

import asyncio
import resource
import struct
import sys

import dns.message
import dns.rrset

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from lab import zones  # noqa: E402

SLOW_S = 0.4


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(self.reply(data), addr)

    def reply(self, data):
        return data


class Ntp(Echo):
    def reply(self, data):
        return struct.pack("!BBBb", 0x24, 1, 6, -20) + bytes(44)


class Nothing(asyncio.DatagramProtocol):
    """Takes what comes, so that no ICMP error goes back."""


class SlowDns(Echo):
    """A for any name, late enough that two programs wait for the same answer."""

    def datagram_received(self, data, addr):
        asyncio.get_running_loop().call_later(SLOW_S, self.answer, data, addr)

    def answer(self, data, addr):
        reply = dns.message.make_response(dns.message.from_wire(data), recursion_available=True)
        question = reply.question[0]
        if question.rdtype == 1:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", zones.WWW4))
        self.transport.sendto(reply.to_wire(), addr)


async def banner(reader, writer):
    writer.write(b"220 hello, I speak first\r\n")
    await reader.read()
    writer.close()


async def upgrade(reader, writer):
    """HTTP until it is asked for another protocol; then what comes goes back."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        if b"upgrade:" in head.lower() and b"/no" not in head:
            break
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
    while some := await reader.read(65536):
        writer.write(some)
        await writer.drain()
    writer.close()


async def silent(reader, writer):
    await reader.read()
    writer.close()


async def echo_lines(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def bulk(reader, writer):
    """"down N": N bytes go; "up N": N bytes come, then "ok"."""
    while line := await reader.readline():
        way, n = line.split()
        left = int(n)
        while left and way == b"down":
            writer.write(bytes(min(left, 65536)))
            left -= min(left, 65536)
            await writer.drain()
        while left and way == b"up":
            left -= len(await reader.readexactly(min(left, 65536)))
        if way == b"up":
            writer.write(b"ok\n")
            await writer.drain()
    writer.close()


async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    loop = asyncio.get_running_loop()
    udp = [(Echo, zones.ECHO4, 7), (Ntp, zones.NTP4, 123), (SlowDns, zones.DNS4_SLOW, 53),
           (Nothing, zones.FAR4, 9), (Nothing, zones.DNS4_SILENT, 53)]
    for kind, at, port in udp:
        await loop.create_datagram_endpoint(kind, (at, port))
        if kind in (Echo, Ntp):
            await loop.create_datagram_endpoint(kind, (zones.six(at), port))
    await asyncio.start_server(echo_lines, "0.0.0.0", zones.ECHO_PORT, backlog=4096)
    await asyncio.start_server(silent, "0.0.0.0", zones.SILENT_PORT, backlog=4096)
    for serve, at, port in ((banner, zones.BANNER4, 2525), (echo_lines, zones.ECHO4, 7),
                            (bulk, zones.ECHO4, zones.BULK_PORT), (upgrade, zones.ECHO4, 8080),
                            (silent, zones.ECHO4, 9)):
        await asyncio.start_server(serve, [at, zones.six(at)], port)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
