# SPDX-License-Identifier: GPL-2.0-or-later
"""What crossed the wire, seen at the far end of the veth pair.

A packet socket with tcpdump's own compiled filter. packets() sends a mark across and reads
up to it, so what was sent before is seen; packets the socket lost are an error, since
"nothing came" must mean that."""

import ctypes
import dataclasses
import ipaddress
import socket
import struct

import dns.exception
import dns.message
import dns.rdatatype

from .process import sh

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_TIMESTAMPNS = 35
MARK_PORT = 9
SYN, RST, ACK = 0x02, 0x04, 0x10


@dataclasses.dataclass
class Packet:
    src: str
    dst: str
    proto: str
    sport: int = 0
    dport: int = 0
    flags: int = 0
    seq: int = 0
    payload: bytes = b""
    when: float = 0.0  # Unix time at which the far side's kernel took it

    @property
    def syn(self):
        return bool(self.flags & SYN) and not self.flags & ACK

    def __str__(self):
        return f"{self.proto} {self.src}:{self.sport} > {self.dst}:{self.dport}"


def read_packet(frame):
    """Ethernet, IPv4 or IPv6 (no extension headers), TCP, UDP or other; None if neither."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800:
        at, proto = 14 + (frame[14] & 15) * 4, frame[23]
        ends = frame[26:30], frame[30:34]
        frame = frame[:14 + struct.unpack_from("!H", frame, 16)[0]]
    elif kind == 0x86dd:
        at, proto = 54, frame[20]
        ends = frame[22:38], frame[38:54]
    else:
        return None
    src, dst = (str(ipaddress.ip_address(e)) for e in ends)
    if proto == socket.IPPROTO_TCP:
        sport, dport, seq = struct.unpack_from("!HHI", frame, at)
        data = at + (frame[at + 12] >> 4) * 4
        return Packet(src, dst, "tcp", sport, dport, frame[at + 13], seq, frame[data:])
    if proto == socket.IPPROTO_UDP:
        sport, dport = struct.unpack_from("!HH", frame, at)
        return Packet(src, dst, "udp", sport, dport, payload=frame[at + 8:])
    name = {1: "icmp", 58: "icmp6"}.get(proto, str(proto))
    return Packet(src, dst, name, payload=frame[at:])


class Filter:
    """tcpdump's compiler; its words are kept, since each is a process of its own."""
    _known = {}

    @classmethod
    def program(cls, text):
        if text not in cls._known:
            lines = sh("tcpdump", "-ddd", "-y", "EN10MB", text).split("\n")[1:]
            cls._known[text] = b"".join(
                struct.pack("HBBI", *map(int, line.split())) for line in lines if line)
        return cls._known[text]


class Capture:
    """with lab.capture("host 198.18.1.1") as cap: ...; assert not cap.packets()"""

    def __init__(self, wire, text):
        self.wire, self._seen = wire, []
        program = Filter.program(f"({text}) or (udp dst port {MARK_PORT})")
        with wire.far.entered():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        code = ctypes.create_string_buffer(program)
        head = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
        self._sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)
        self._sock.bind((wire.far_device, ETH_P_ALL))
        self._sock.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def packets(self, **want):
        """All so far; want picks by field, e.g. dst="198.18.1.1", dport=443."""
        self._drain()
        return [p for p in self._seen
                if all(getattr(p, field) == value for field, value in want.items())]

    def syns(self, **want):
        return [p for p in self.packets(**want) if p.syn]

    def repeated_syns(self, **want):
        """SYNs that were sent again: the first one had not been let through or answered."""
        met, again = set(), []
        for p in self.syns(**want):
            key = p.src, p.sport, p.dst, p.dport, p.seq
            again += [p] if key in met else []
            met.add(key)
        return again

    def resets(self, **want):
        return [p for p in self.packets(**want) if p.flags & RST]

    def _drain(self):
        token = self.wire.send_mark()
        while True:
            try:
                frame, more, _, _ = self._sock.recvmsg(65535, 64)
            except TimeoutError:
                raise AssertionError("the wire's mark did not come across: is a process "
                                     "outside the scope cut off?") from None
            packet = read_packet(frame)
            if packet and packet.dport == MARK_PORT and packet.proto == "udp":
                if packet.payload == token:
                    break
            elif packet:
                seconds, ns = struct.unpack("qq", more[0][2][:16])
                packet.when = seconds + ns / 1e9
                self._seen.append(packet)
        _, lost = struct.unpack("II", self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert lost == 0, f"the capture lost {lost} packets: it proves nothing"


@dataclasses.dataclass
class Query:
    name: str
    type: str
    proto: str
    server: str


def read_query(packet):
    """A DNS query in one packet, or None."""
    if packet.dport != 53 or not packet.payload:
        return None
    wire = packet.payload[2:] if packet.proto == "tcp" else packet.payload
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, struct.error):
        return None
    if not message.question:
        return None
    question = message.question[0]
    return Query(question.name.to_text(omit_final_dot=True).lower(),
                 dns.rdatatype.to_text(question.rdtype), packet.proto, packet.dst)


class FarDns:
    """The authoritative servers' side: what they were asked since the story began."""

    def __init__(self, capture):
        self._capture = capture

    def asked(self):
        return [q for q in map(read_query, self._capture.packets()) if q]

    def queries(self):
        return [q.name for q in self.asked()]

    def close(self):
        self._capture.__exit__()
