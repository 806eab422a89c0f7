# SPDX-License-Identifier: GPL-2.0-or-later
"""The names and addresses of the far side.

198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849) are public to Scupper's zones, and
nobody's."""

NAMES = 1000
DNS4, DNS4_OTHER, DNS4_SLOW = "198.18.0.53", "198.18.0.54", "198.18.0.55"
DNS4_DEAD, DNS4_SILENT = "198.18.0.99", "198.18.0.98"
DNS6 = "2001:db8:53::53"
NEAR4, FAR4 = "10.53.0.1", "10.53.0.2"
NEAR6, FAR6 = "2001:db8:52::1", "2001:db8:52::2"
NEAR6_LAN, FAR6_LAN = "fd00:53::1", "fd00:53::2"
NET4, NET6 = "198.18.0.0/16", "2001:db8:53::/64"
ADS4, ADS6 = "198.18.66.6", "2001:db8:53::6666"
NTP4, ECHO4, SSH4, BANNER4, WWW4 = (f"198.18.10.{n}" for n in (123, 7, 22, 25, 80))
ASK4, SLOW4, OTHER4 = "198.18.20.1", "198.18.10.81", "198.18.10.99"
SHORT4, FOUR4 = "198.18.10.90", "198.18.10.91"
TTL = 30
BULK_PORT = 5001
ECHO_PORT, SILENT_PORT = 5007, 5009  # on every address of NET4

HEAD = f"""$ORIGIN .
$TTL {TTL}
@ IN SOA ns.shop.test. host.shop.test. 1 3600 600 86400 10
@ IN NS ns.shop.test.
ns.shop.test. IN A {DNS4}
"""


def name(n):
    return f"n{n:05}.shop.test"


def address4(n):
    return f"198.18.{1 + (n - 1) // 250}.{1 + (n - 1) % 250}"


def address6(n):
    return f"2001:db8:53::1:{n:x}"


def six(four):
    """The v6 address beside one of the named v4 addresses above."""
    a, b, c, d = four.split(".")
    return f"2001:db8:53::2:{int(c):x}:{int(d):x}"


def both(label, four, ttl=TTL):
    return f"{label} {ttl} IN A {four}\n{label} {ttl} IN AAAA {six(four)}\n"


def shop():
    big = " ".join(f'"{n:03} {"x" * 200}"' for n in range(16))
    records = ["$ORIGIN shop.test.\n"]
    for n in range(1, NAMES + 1):
        label = f"n{n:05}"
        records.append(f"{label} IN A {address4(n)}\n{label} IN AAAA {address6(n)}\n")
    for label, four in (("www", WWW4), ("ntp", NTP4), ("echo", ECHO4), ("ssh", SSH4),
                        ("banner", BANNER4), ("slow", SLOW4), ("*.ask", ASK4)):
        records.append(both(label, four))
    records.append(both("short", SHORT4, ttl=1))
    records.append(both("four", FOUR4, ttl=4))
    records.append(f"""
good-alias IN CNAME www.shop.test.
bad-alias IN CNAME x.ads.example.
long-alias IN CNAME good-alias
hinted IN HTTPS 1 . alpn=h2 ipv4hint={ADS4} ipv6hint={ADS6}
hinted IN A {WWW4}
targeted IN HTTPS 1 x.ads.example. alpn=h2
plain IN HTTPS 1 . alpn=h2 ipv4hint={WWW4}
plain IN A {WWW4}
bigtxt IN TXT {big}
loop IN A 127.0.0.1
loop IN AAAA ::1
lan IN A {FAR4}
lan IN AAAA {FAR6_LAN}
mixed IN A {WWW4}
mixed IN A 127.0.0.1
mixed IN A {FAR4}
only4 IN A {WWW4}
partly IN A {WWW4}
partly IN A {ADS4}
""")
    return "".join(records)


def zone():
    """One zone file of the root: so that answers follow CNAMEs as a recursive server's do."""
    return "".join((
        HEAD, shop(),
        f"$ORIGIN ads.example.\n@ IN A {ADS4}\n* IN A {ADS4}\n* IN AAAA {ADS6}\n",
        "$ORIGIN other.example.\n", both("@", OTHER4), both("www", OTHER4),
        f"$ORIGIN lan.\nnas IN A {FAR4}\n"))
