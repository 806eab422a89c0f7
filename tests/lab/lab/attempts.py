# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways out that programs try, each a function; run by a copy of python, so that the same
act is done by a program that may and by one that may not:

    PROGRAM attempts.py NAME ADDRESS... [KEY=VALUE...]

NAME is tried for every address. What the kernel refuses is printed and the rest of the act
goes on: whether anything left is judged on the far side, not here."""

import array
import ctypes
import mmap
import os
import socket
import struct
import sys
import threading
import time

PORT = 80
TOKEN = b"scupper-evade"
SO_MARK, SO_BINDTODEVICE, SO_REUSEPORT = 36, 25, 15
MSG_FASTOPEN, MSG_MORE = 0x20000000, 0x8000
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34
IPPROTO_MPTCP, IPPROTO_RAW = 262, 255
IP_OPTIONS, IP_HDRINCL, IPV6_HDRINCL, IPV6_RTHDR = 4, 3, 36, 57
UDP_CORK, UDP_SEGMENT = 1, 103
IPV6_HOPOPTS, IPV6_DSTOPTS, MCAST_JOIN_GROUP = 54, 59, 42
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
MAGIC, STAMPED = 0x53000000, 0x73000000
NUMBERS = 12  # more than a story has programs: marks of all of them are tried

GROUPS = ["239.9.9.9", "224.0.0.9", "255.255.255.255", "10.53.255.255", "ff02::9", "ff0e::9"]


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tried(act, *args):
    """What it gave, None if it was refused."""
    try:
        return act(*args)
    except OSError as e:
        print(f"{getattr(act, '__name__', act)}: {e}")
        return None


def udp(address):
    return socket.socket(family(address), socket.SOCK_DGRAM)


def tcp(address, proto=0):
    s = socket.socket(family(address), socket.SOCK_STREAM, proto)
    s.settimeout(3)
    return s


def talk_tcp(s, address, port=PORT):
    """Connects and says something, which is more than a SYN."""
    s.settimeout(3)
    if tried(s.connect, (address, port)) is None and tried(s.getpeername):
        tried(s.sendall, TOKEN)
        tried(s.recv, 16)
    s.close()


def unspec(s):
    """connect() to AF_UNSPEC: the socket forgets whom it talked to."""
    gone = ctypes.create_string_buffer(16)
    if ctypes.CDLL(None, use_errno=True).connect(s.fileno(), gone, 16):
        raise OSError(ctypes.get_errno(), "connect(AF_UNSPEC)")


def loopback(address):
    return "::1" if ":" in address else "127.0.0.1"


# one program alone


def plain(address):
    tried(udp(address).sendto, TOKEN, (address, PORT))
    talk_tcp(tcp(address), address)


def unspec_and_again(address):
    """Connected where it may, then let go, then connected where it may not."""
    own = loopback(address)
    u = udp(address)
    tried(u.connect, (own, 40001))
    tried(u.send, b"local")
    tried(unspec, u)
    tried(u.connect, (address, PORT))
    tried(u.send, TOKEN)
    server = socket.create_server((own, 0), family=family(address))
    t = tcp(address)
    tried(t.connect, server.getsockname()[:2])
    tried(unspec, t)
    talk_tcp(t, address)


def mark_by_option(address):
    """Marks of every number, with and without the table's own stamp."""
    for mark in [magic | n for magic in (MAGIC, STAMPED) for n in range(NUMBERS)] + [0]:
        for s in (udp(address), tcp(address)):
            with s:
                tried(s.setsockopt, socket.SOL_SOCKET, SO_MARK, mark)
                s.setblocking(False)
                tried(s.connect, (address, PORT))
                tried(s.send, TOKEN)


def mark_by_message(address):
    """The same by control message, which marks the packet and not the socket."""
    u = udp(address)
    for mark in [magic | n for magic in (MAGIC, STAMPED) for n in range(NUMBERS)] + [0]:
        word = [(socket.SOL_SOCKET, SO_MARK, struct.pack("I", mark))]
        tried(u.sendmsg, [TOKEN], word, 0, (address, PORT))


def fast_open(address):
    """Data in the SYN: by sendto(), and by a connect() that waits for the first write."""
    for how in ("sendto", "connect"):
        t = tcp(address)
        tried(t.setsockopt, socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        if how == "sendto":
            tried(t.sendto, TOKEN, MSG_FASTOPEN, (address, PORT))
        else:
            tried(t.setsockopt, socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            tried(t.connect, (address, PORT))
            tried(t.send, TOKEN)
        tried(t.recv, 16)
        t.close()


def multipath(address):
    talk_tcp(tcp(address, IPPROTO_MPTCP), address)


def mapped(address):
    """A v6 socket that speaks v4."""
    if ":" in address:
        return
    at = (f"::ffff:{address}", PORT)
    tried(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto, TOKEN, at)
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    tried(u.connect, at)
    tried(u.send, TOKEN)
    talk_tcp(socket.socket(socket.AF_INET6, socket.SOCK_STREAM), *at)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def echo_request(address):
    """An ICMP echo request; the kernel sums up those of v6."""
    kind = 128 if ":" in address else 8
    head = struct.pack("!BBHHH", kind, 0, 0, 77, 1)
    return head[:2] + struct.pack("!H", checksum(head + TOKEN)) + head[4:] + TOKEN


def icmp_of(address):
    return socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP


def ping(address):
    """The ping socket, which needs no right, and the raw one."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        s = socket.socket(family(address), kind, icmp_of(address))
        tried(s.sendto, echo_request(address), (address, 0))
        tried(s.connect, (address, 0))
        tried(s.send, echo_request(address))


def local_address(address):
    with udp(address) as s:
        s.connect((address, PORT))
        return s.getsockname()[0]


def packet_of(address, proto, body, ident=1, fragment=0, src=None):
    """An IP packet, whole; fragment is the v4 header's word."""
    src, dst = (socket.inet_pton(family(address), a)
                for a in (src or local_address(address), address))
    if ":" in address:
        return struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + src + dst + body
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, fragment, 64, proto,
                       0) + src + dst + body


def udp_bytes(text, sport=4444):
    """Without a checksum: over v6 it would not be read, but it would be seen."""
    return struct.pack("!HHHH", sport, PORT, 8 + len(text), 0) + text


def syn_bytes():
    return struct.pack("!HHIIBBHHH", 4445, PORT, 1, 0, 0x50, 0x02, 1024, 0, 0)


def raw_socket(address):
    s = socket.socket(family(address), socket.SOCK_RAW, IPPROTO_RAW)
    if ":" in address:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
    return s


def raw(address):
    """Headers of its own making: UDP, a SYN, and a protocol nobody has."""
    s = raw_socket(address)
    for proto, body in ((17, udp_bytes(TOKEN)), (6, syn_bytes()), (253, TOKEN)):
        tried(s.sendto, packet_of(address, proto, body), (address, 0))
    other = socket.socket(family(address), socket.SOCK_RAW, 17)
    tried(other.sendto, udp_bytes(TOKEN), (address, 0))


def forged_source(address, src):
    """As if from src: whoever refuses that must not tell src, for it would hear what was
    in the packet."""
    s = raw_socket(address)
    for proto, body in ((17, udp_bytes(TOKEN)), (6, syn_bytes()), (253, TOKEN)):
        tried(s.sendto, packet_of(address, proto, body, src=src), (address, 0))


def packet_socket(address, mac, kind="raw", device="near0"):
    """A whole frame to the interface, past every socket hook and chain: as it is, by way of
    a queue discipline or not, and with the header left to the kernel."""
    udp(address).close()  # so that the program is known
    ether = 0x86dd if ":" in address else 0x0800
    packet = packet_of(address, 17, udp_bytes(TOKEN))
    head = bytes.fromhex(mac.replace(":", "")) + bytes(6) + struct.pack("!H", ether)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if kind == "bypass":
        tried(s.setsockopt, SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    tried(s.sendto, head + packet, (device, ether))
    whole = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    tried(whole.sendto, packet, (device, ether, 0, 0, head[:6]))


def segments(address):
    """One send() that the kernel cuts into many, and one that waits for more."""
    u = udp(address)
    tried(u.setsockopt, socket.IPPROTO_UDP, UDP_SEGMENT, 100)
    tried(u.sendto, TOKEN * 50, (address, PORT))
    u = udp(address)
    tried(u.setsockopt, socket.IPPROTO_UDP, UDP_CORK, 1)
    tried(u.sendto, TOKEN, (address, PORT))
    tried(u.sendto, TOKEN, (address, PORT))
    tried(u.setsockopt, socket.IPPROTO_UDP, UDP_CORK, 0)
    u = udp(address)
    tried(u.sendto, TOKEN, MSG_MORE, (address, PORT))
    tried(u.sendto, TOKEN, (address, PORT))


def begun_at_home(address):
    """A datagram begun for a local address, ended for a far one."""
    u = udp(address)
    tried(u.sendto, TOKEN, MSG_MORE, (loopback(address), 40001))
    tried(u.sendto, TOKEN, (address, PORT))
    tried(u.sendto, TOKEN, (address, PORT))


def group(address):
    """A multicast group or a broadcast address."""
    u = udp(address)
    index = socket.if_nametoindex("near0")
    if ":" in address:
        u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        u.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                     socket.inet_aton(local_address("10.53.0.2")))
    tried(u.sendto, TOKEN, (address, PORT))


def join(address):
    """Joins a group: the kernel tells the network which."""
    u, index = udp(address), socket.if_nametoindex("near0")
    group = socket.inet_pton(family(address), address)
    if ":" in address:
        tried(u.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
              group + struct.pack("@I", index))
    else:
        tried(u.setsockopt, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
              group + bytes(4) + struct.pack("@i", index))
    tried(u.setsockopt, socket.IPPROTO_IPV6 if ":" in address else socket.IPPROTO_IP,
          MCAST_JOIN_GROUP, struct.pack("@I4x", index) + sockaddr(address, 0).ljust(128, b"\0"))


def extension_headers(address):
    """Hop-by-hop and destination options before the transport header."""
    if ":" not in address:
        return
    padding = bytes((0, 0, 1, 4, 0, 0, 0, 0))
    for option in (IPV6_HOPOPTS, IPV6_DSTOPTS):
        for s in (udp(address), tcp(address)):
            with s:
                tried(s.setsockopt, socket.IPPROTO_IPV6, option, padding)
                tried(s.connect, (address, PORT))
                tried(s.send, TOKEN)
    s = raw_socket(address)
    chain = bytes((60, 0, 1, 4, 0, 0, 0, 0)) + bytes((17, 0, 1, 4, 0, 0, 0, 0))
    tried(s.sendto, packet_of(address, 0, chain + udp_bytes(TOKEN)), (address, 0))


def fragments(address):
    """Larger than the wire; and cut by hand, the first piece without the ports."""
    u = udp(address)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    tried(u.sendto, TOKEN * 500, (address, PORT))
    s, whole = raw_socket(address), udp_bytes(TOKEN * 3)
    for at in range(0, len(whole), 8):
        piece, more = whole[at:at + 8], at + 8 < len(whole)
        if ":" in address:
            head = struct.pack("!BBHI", 17, 0, at | more, 7)
            packet = packet_of(address, 44, head + piece)
        else:
            packet = packet_of(address, 17, piece, 7, at >> 3 | more << 13)
        tried(s.sendto, packet, (address, 0))


def device(address):
    """Bound to the interface."""
    for s in (udp(address), tcp(address)):
        with s:
            tried(s.setsockopt, socket.SOL_SOCKET, SO_BINDTODEVICE, b"near0\0")
            tried(s.connect, (address, PORT))
            tried(s.send, TOKEN)
    u = udp(address)
    tried(u.connect, (loopback(address), 40001))
    tried(u.setsockopt, socket.SOL_SOCKET, SO_BINDTODEVICE, b"near0\0")
    tried(u.sendto, TOKEN, (address, PORT))


def source_route(address, via=None):
    """To an address that it may reach, by way of one that it may not."""
    hop = socket.inet_pton(family(address), via)
    for s in (udp(address), tcp(address)):
        with s:
            if ":" in address:
                final = socket.inet_pton(socket.AF_INET6, address)
                header = struct.pack("!BBBBBBH", 0, 4, 4, 1, 1, 0, 0) + final + hop
                tried(s.setsockopt, socket.IPPROTO_IPV6, IPV6_RTHDR, header)
            else:
                tried(s.setsockopt, socket.IPPROTO_IP, IP_OPTIONS, b"\x83\x07\x04" + hop)
            s.settimeout(0.2)
            tried(s.connect, (address, PORT))
            tried(s.send, TOKEN)


# io_uring, by its system calls

NR_SETUP, NR_ENTER, SQPOLL, GETEVENTS, SQ_WAKEUP = 425, 426, 2, 1, 2
OP_CONNECT, OP_SEND, OP_SOCKET, OP_SETSOCKOPT = 16, 26, 45, 46


class Ring:
    """One request at a time."""

    def __init__(self, flags=0):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.flags, params = flags, ctypes.create_string_buffer(120)
        struct.pack_into("II", params, 8, flags, 50)
        self.fd = self.libc.syscall(NR_SETUP, 8, params)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        self.sq = struct.unpack_from("10I", params, 40)
        self.cq = struct.unpack_from("10I", params, 80)
        self.rings = mmap.mmap(self.fd, 1 << 14, offset=0)
        self.sqes = mmap.mmap(self.fd, 64 * 8, offset=0x10000000)
        self.kept = []

    def word(self, at):
        return struct.unpack_from("I", self.rings, at)[0]

    def do(self, op, fd, off=0, addr=0, length=0, flags=0, addr_len=0):
        """The result of one request."""
        tail = self.word(self.sq[1])
        struct.pack_into("BBHiQQIIQHHHHQQ", self.sqes, 0, op, 0, 0, fd, off, addr, length,
                         flags, 1, 0, 0, addr_len, 0, 0, 0)
        struct.pack_into("I", self.rings, self.sq[6] + 4 * (tail & self.word(self.sq[2])), 0)
        struct.pack_into("I", self.rings, self.sq[1], tail + 1)
        wake = GETEVENTS | (SQ_WAKEUP if self.flags & SQPOLL else 0)
        self.libc.syscall(NR_ENTER, self.fd, 1, 1, wake, None, 0)
        head = self.word(self.cq[0])
        result = struct.unpack_from("i", self.rings,
                                    self.cq[5] + 16 * (head & self.word(self.cq[2])) + 8)[0]
        struct.pack_into("I", self.rings, self.cq[0], head + 1)
        print("io_uring", op, result)
        return result

    def keep(self, data):
        """Bytes where the kernel finds them."""
        self.kept.append(ctypes.create_string_buffer(data, len(data)))
        return ctypes.addressof(self.kept[-1])


def sockaddr(address, port):
    if ":" in address:
        return struct.pack("=H", 10) + struct.pack("!HI", port, 0) + \
            socket.inet_pton(socket.AF_INET6, address) + bytes(4)
    return struct.pack("=H", 2) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


def io_uring(address):
    """Sockets made, connected and written to by the ring: also by a thread of the kernel's
    that watches it, where no system call of the program's is left."""
    at = sockaddr(address, PORT)
    for flags in (0, SQPOLL):
        ring = Ring(flags)
        to, text = ring.keep(at), ring.keep(TOKEN)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            fd = ring.do(OP_SOCKET, family(address), off=kind)
            if kind == socket.SOCK_DGRAM:
                ring.do(OP_SEND, fd, off=to, addr=text, length=len(TOKEN), addr_len=len(at))
            if ring.do(OP_CONNECT, fd, off=len(at), addr=to) == 0:
                ring.do(OP_SEND, fd, addr=text, length=len(TOKEN))
            os.close(fd)


# with somebody else's help


def simultaneous(address, own, tries):
    """Connects from a fixed port to one that calls that port at the same time."""
    for _ in range(int(tries)):
        with tcp(address) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((own, 4500))
            s.settimeout(0.3)
            s.connect_ex((address, 4500))


def call(address, own):
    """On the far side: SYNs to that port until it is ended."""
    s = raw_socket(address)
    src, dst = (socket.inet_pton(family(a), a) for a in (own, address))
    head = struct.pack("!HHIIBBHHH", 4500, 4500, 1, 0, 0x50, 0x02, 1024, 0, 0)
    total = checksum(src + dst + struct.pack("!II", 6, len(head)) + head)
    packet = packet_of(address, 6, head[:16] + struct.pack("!H", total) + head[18:], src=own)
    while True:
        s.sendto(packet, (address, 0))
        time.sleep(0.003)


def error_of_its_own(address, own, port="4501"):
    """To a flow that came in while nobody listened: each refusal makes the kernel send an
    error to the sender, over lo, and errors belong to the flow that they speak of."""
    u = udp(address)
    u.bind((own, int(port)))
    for _ in range(5):
        tried(u.sendto, TOKEN, (address, int(port)))


def forged_call(address, own, port="4502"):
    """A raw packet to itself as if it came from there, and an answer to that."""
    u, s = udp(address), raw_socket(own)
    u.bind((own, int(port)))
    head = struct.pack("!HHHH", int(port), int(port), 8 + len(TOKEN), 0)
    ends = [socket.inet_pton(family(a), a) for a in (address, own)]
    total = checksum(b"".join(ends) + struct.pack("!II", 17, len(head + TOKEN)) + head + TOKEN)
    call_in = head[:6] + struct.pack("!H", total) + TOKEN
    tried(s.sendto, packet_of(own, 17, call_in, src=address), (own, 0))
    u.settimeout(0.2)
    tried(u.recv, 100)
    for _ in range(3):
        tried(u.sendto, TOKEN, (address, int(port)))


def multipath_held(address, port="8443"):
    """An MPTCP connection that stays open until its stdin ends."""
    t = tcp(address, IPPROTO_MPTCP)
    t.connect((address, int(port)))
    t.sendall(TOKEN)
    t.recv(16)
    print("connected", flush=True)
    sys.stdin.read()


def multipath_server(port):
    """Takes MPTCP on every address and sends back what comes."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", int(port)))
    s.listen(16)
    print("ready", flush=True)

    def serve(c):
        while data := c.recv(64):
            c.sendall(data)
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()


def answer(address, port):
    """Answers whoever sends something first."""
    u = udp(address)
    u.bind((address, int(port)))
    print("ready", flush=True)
    u.settimeout(5)
    _, who = u.recvfrom(100)
    print("got", flush=True)
    tried(u.sendto, TOKEN, who)
    tried(u.connect, who[:2])
    tried(u.send, TOKEN)


def inherited(address, then):
    """Makes sockets, then becomes another program that uses them."""
    u, t, c = udp(address), tcp(address), udp(address)
    c.connect((loopback(address), 40001))
    for s in (u, t, c):
        os.set_inheritable(s.fileno(), True)
    os.execv(then, [then, __file__, "use_inherited", address,
                       "fds=" + ",".join(str(s.fileno()) for s in (u, t, c))])


def use_inherited(address, fds):
    u, t, c = (socket.socket(fileno=int(n)) for n in fds.split(","))
    tried(u.sendto, TOKEN, (address, PORT))
    tried(c.sendto, TOKEN, (address, PORT))
    tried(unspec, c)
    tried(c.connect, (address, PORT))
    tried(c.send, TOKEN)
    talk_tcp(t, address)


def lent(address, then):
    """Connects, or makes a raw socket, then becomes another program that only sends."""
    u, s = udp(address), socket.socket(family(address), socket.SOCK_RAW, icmp_of(address))
    u.connect((address, PORT))
    for lent_one in (u, s):
        os.set_inheritable(lent_one.fileno(), True)
    os.execv(then, [then, __file__, "use_lent", address, f"fds={u.fileno()},{s.fileno()}"])


def use_lent(address, fds):
    u, s = (socket.socket(fileno=int(n)) for n in fds.split(","))
    tried(u.send, TOKEN)
    tried(s.sendto, echo_request(address), (address, 0))


def give(address, path):
    """Hands sockets that it made and used at home to whoever connects."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    print("ready", flush=True)
    u, t, c = udp(address), tcp(address), udp(address)
    c.connect((loopback(address), 40001))
    tried(c.send, b"local")
    peer, _ = server.accept()
    fds = array.array("i", [s.fileno() for s in (u, t, c)])
    peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    peer.recv(1)
    print("back", flush=True)
    for s in (u, c):  # and now they are its own again
        tried(s.sendto, b"giver", (address, PORT))


def take(address, path):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    _, (item,), _, _ = peer.recvmsg(1, socket.CMSG_SPACE(12))
    use_inherited(address, ",".join(str(n) for n in array.array("i", item[2])))
    peer.send(b"x")


def from_port(address, port, text="scupper-evade", times="1"):
    """From a fixed port, which others may share or have had."""
    u = udp(address)
    u.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
    u.bind(("", int(port)))
    for _ in range(int(times)):
        tried(u.sendto, text.encode(), (address, PORT))
    t = tcp(address)
    t.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
    t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tried(t.bind, ("", int(port)))
    if tried(t.connect, (address, PORT)) is None and tried(t.getpeername):
        tried(t.send, text.encode())
    print("sent", flush=True)
    if text == "hold":
        sys.stdin.read()


def main():
    name, rest = sys.argv[1], sys.argv[2:]
    words = dict(word.split("=", 1) for word in rest if "=" in word)
    addresses = [word for word in rest if "=" not in word]
    act = globals()[name]
    if not addresses:
        act(**words)
    for address in addresses:
        act(address, **words)


if __name__ == "__main__":
    main()
