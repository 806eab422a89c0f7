# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw requests to the dashboard's port from inside; says what went otherwise than wanted.

Run by root with a file that says where, whose links and what routes there are; a user's
connection is made by a socket that is made as that user."""

import contextlib
import json
import os
import re
import resource
import socket
import sys
import time

CASE = json.load(open(sys.argv[1], encoding="utf-8"))
READER, STRANGER = CASE["reader"], CASE["stranger"]
PORT = 7531
bad = []


class Place:
    """One of the addresses where the dashboard listens."""

    def __init__(self, address):
        self.address = address
        self.host = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
        self.change = {"Origin": f"http://{self.host}", "Content_Type": "application/json",
                       "X_Scupper": "1"}

    def connect(self, uid=0):
        os.seteuid(uid)
        try:
            s = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        finally:
            os.seteuid(0)
        s.settimeout(120)
        s.connect((self.address, PORT))
        return s

    def raw(self, data, uid=0, until=None):
        got = b""
        with contextlib.suppress(OSError), self.connect(uid) as s:
            s.sendall(data)
            while (more := s.recv(65536)) and not (until and until in got + more):
                got += more
            got += more
        return got.decode("latin-1")

    def ask(self, method, path, body=None, host=None, uid=0, lines=(), **headers):
        head = [f"{method} {path} HTTP/1.1", f"Host: {host or self.host}",
                "Connection: close", *lines]
        head += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items() if v is not None]
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        data = ("\r\n".join(head) + "\r\n\r\n" + (body or "")).encode()
        return self.raw(data, uid, b"\n\n" if "/events" in path else None)


FOUR, SIX = Place("127.0.0.1"), Place("::1")


def want(what, status, got):
    """status 0: hung up without a word."""
    code = int(got.split()[1]) if got else 0
    if code != status:
        bad.append(f"{what}: wanted {status}, got {code} {got[-200:]!r}")
    elif "Access-Control" in got:
        bad.append(f"{what}: CORS")
    return got


def sign_in(place, url, uid=0):
    token = re.fullmatch(r"http://[^/]+/#t=([0-9a-f]{64})", url)[1]
    login = json.dumps({"token": token})
    want("login without origin", 403,
         place.ask("POST", "/api/v1/login", login, uid=uid, **{**place.change, "Origin": None}))
    got = want("login", 204, place.ask("POST", "/api/v1/login", login, uid=uid, **place.change))
    want("a token twice", 401,
         place.ask("POST", "/api/v1/login", login, uid=uid, **place.change))
    found = re.search(r"Set-Cookie: (scupper_\d+=[0-9a-f]{64}); Path=/; HttpOnly; "
                      r"SameSite=Strict", got)
    if not found:
        sys.exit(f"no cookie: {bad} {got}")
    return found[1]


# what a right request to each route is, and what an administrator gets for it. A route that
# is described and not here is a failure: so no route comes without its rows of this table.
NO_RULE, UNDONE = "/api/v1/rules/4000000", "/api/v1/undo/4000000"
ROUTES = {
    "get /api/v1/me": ("/api/v1/me", None, 200),
    "get /api/v1/status": ("/api/v1/status", None, 200),
    "get /api/v1/queries": ("/api/v1/queries", None, 200),
    "get /api/v1/flows": ("/api/v1/flows", None, 200),
    "get /api/v1/apps": ("/api/v1/apps", None, 200),
    "get /api/v1/history": ("/api/v1/history", None, 200),
    "get /api/v1/countries": ("/api/v1/countries", None, 200),
    "get /api/v1/stats": ("/api/v1/stats", None, 200),
    "get /api/v1/events": ("/api/v1/events?topics=rules", None, 200),
    "get /api/v1/rules": ("/api/v1/rules", None, 200),
    "get /api/v1/filter": ("/api/v1/filter", None, 200),
    "get /api/v1/explain": ("/api/v1/explain?who=unknown&what=a.test", None, 200),
    "get /api/v1/openapi.json": ("/api/v1/openapi.json", None, 200),
    "post /api/v1/rules": ("/api/v1/rules", '{"text":"permit"}', 422),
    "delete /api/v1/rules/{id}": (NO_RULE, "{}", 404),
    "patch /api/v1/rules/{id}": (NO_RULE, '{"enabled":true}', 404),
    "post /api/v1/rules/test": ("/api/v1/rules/test", '{"who":"unknown","what":"a.test"}', 200),
    "post /api/v1/undo/{id}": (UNDONE, "{}", 404),
    "put /api/v1/filter": ("/api/v1/filter", '{"enabled":true}', 200),
    "post /api/v1/cache/flush": ("/api/v1/cache/flush", '{"name":"a.test"}', 200),
    "post /api/v1/explain": ("/api/v1/explain", '{"who":"unknown","what":"a.test"}', 200),
    "post /api/v1/login": ("/api/v1/login", '{"token":"no"}', 401),
    "post /api/v1/logout": ("/api/v1/logout", "{}", 204),
    "post /api/v1/session-tokens": ("/api/v1/session-tokens", "{}", 403),
}
described = {f"{method} {path}": operation for path, methods in CASE["paths"].items()
             for method, operation in methods.items()}
for name in described.keys() ^ ROUTES.keys():
    bad.append(f"{name}: {'not tried here' if name in described else 'not described'}")
HOSTS = ["evil.test", f"evil.test:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "localhost",
         f"x.localhost:{PORT}", f"127.0.0.1:{PORT}.", f"127.0.0.1.nip.test:{PORT}",
         f"127.1:{PORT}", f"[::]:{PORT}", f"0.0.0.0:{PORT}", f"::1:{PORT}", ""]
ORIGINS = ["http://evil.test", f"http://evil.test:{PORT}", "null", "",
           f"http://127.0.0.1:{PORT + 1}", f"http://localhost.evil.test:{PORT}"]


def check_route(place, name, mine, readers):
    path, body, status = ROUTES[name]
    method = name.split()[0].upper()
    operation = described[name]
    read = method == "GET"
    right = {} if read else place.change
    login = path.endswith("/login")
    what = f"{name} on {place.host}"

    def ask(cookie=mine, **other):
        headers = {**right, **other}
        return place.ask(headers.pop("method", method), path, body, Cookie=cookie, **headers)

    want(what + " without a cookie", 401, ask(None))
    want(what + " with a wrong cookie", 401, ask(mine[:-1] + "01"[mine[-1] == "0"]))
    want(what + " with another user's cookie", 401, ask(readers))
    want(what + " by another user with our cookie", 401, ask(uid=READER))
    want(what + " by a stranger with our cookie", 0, ask(uid=STRANGER))
    for host in HOSTS:
        origin = f"http://{host}" if not read else None  # a rebound name: the two agree
        want(f"{what} as {host!r}", 403,
             place.ask(method, path, body, host=host or " ", Cookie=mine,
                       **{**right, "Origin": origin}))
    for origin in ORIGINS:
        want(f"{what} from {origin!r}", 403, ask(Origin=origin))
    for site in ("cross-site", "same-site", "none", "", "SAME-ORIGIN"):
        want(f"{what} {site!r}", 403, ask(Sec_Fetch_Site=site))
    want(what + " with two hosts", 403, ask(lines=[f"Host: {place.host}"]))
    want(what + " with two origins", 403, ask(lines=["Origin: http://evil.test"],
                                              Origin=f"http://{place.host}"))
    for cookie in (mine, None):
        want(what + " OPTIONS", 403, place.ask(
            "OPTIONS", path, Cookie=cookie, Origin=f"http://{place.host}",
            Access_Control_Request_Method=method))
    if not read:
        for lacking in ("Origin", "X_Scupper"):
            want(f"{what} without {lacking}", 403, ask(**{lacking: None}))
        for kind in ("text/plain", "application/x-www-form-urlencoded",
                     "multipart/form-data", "application/jsonp", None):
            want(f"{what} as {kind}", 415, ask(Content_Type=kind))
        want(what + " too long", 413, place.ask(method, path, "x" * 70000, Cookie=mine,
                                                **right))
    forbidden = operation.get("x-role") == "admin" or path.endswith("session-tokens")
    if not path.endswith("/logout"):
        want(what + " by a reader", 403 if forbidden else status,
             ask(readers, uid=READER))
        got = want(what, status, ask(Sec_Fetch_Site="same-origin",
                                     Origin=f"http://{place.host}"))
        for header in ("Content-Security-Policy: default-src 'none'; script-src 'self'",
                       "X-Content-Type-Options: nosniff", "Cache-Control: no-store",
                       "Referrer-Policy: no-referrer", "trusted-types scupper",
                       "Cross-Origin-Resource-Policy: same-origin"):
            if header not in got:
                bad.append(f"{what}: no {header}")
    assert not login or status == 401


def check_page(place):
    """The page itself needs no cookie; it shows nothing."""
    def ask(**other):
        return place.ask("GET", "/", **other)
    code = int(ask().split()[1])
    if code not in (200, 404):  # 404: not built
        bad.append(f"the page on {place.host}: {code}")
    want("the page, typed in", code, ask(Sec_Fetch_Site="none"))
    want("the page in another's frame", 403, ask(Sec_Fetch_Site="cross-site"))
    want("the page from the next port", 403, ask(Sec_Fetch_Site="same-site"))
    want("the page as evil.test", 403, ask(host=f"evil.test:{PORT}"))
    want("the page for a reader", code, ask(uid=READER))
    want("the page for a stranger", 0, ask(uid=STRANGER))
    want("POST to the page", 401, place.ask("POST", "/", "{}", **place.change))


def check_roles(place, mine, readers):
    for cookie, uid, role in ((mine, 0, "admin"), (readers, READER, "reader")):
        got = want(f"me as {uid}", 200, place.ask("GET", "/api/v1/me", uid=uid, Cookie=cookie))
        me = json.loads(got.split("\r\n\r\n")[1])
        if (me["uid"], me["role"]) != (uid, role):
            bad.append(f"me: {me}")


def check_bounds(place, mine, readers):
    """Nobody's connections keep others out, whatever they do with them."""
    for why, uid, begun in (("idle", 0, b""), ("idle", READER, b""),
                            ("half asked", READER, b"GET /api/v1/me HTTP/1.1\r\nHost: "),
                            ("a stranger's", STRANGER, b"")):
        held = []
        for _ in range(1000):
            held.append(place.connect(uid))
            with contextlib.suppress(OSError):
                held[-1].sendall(begun)
        since = time.monotonic()
        want(f"amid 1000 connections, {why}, of {uid}", 200,
             place.ask("GET", "/api/v1/me", Cookie=mine))
        print(f"amid 1000 connections, {why}, of {uid}: {time.monotonic() - since:.3f} s")
        for s in held:
            s.close()
    want("a reader still", 200, place.ask("GET", "/api/v1/me", uid=READER, Cookie=readers))


def check_streams(mine, readers):
    """Four of one uid, over both addresses together."""
    for cookie, uid in ((mine, 0), (readers, READER)):
        held = []
        for place in (FOUR, SIX, FOUR, SIX, FOUR):
            s = place.connect(uid)
            s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {place.host}\r\n"
                      f"Cookie: {cookie}\r\n\r\n".encode())
            held.append((s, s.recv(12).decode()))
        got = [code.split()[1] for _, code in held]
        if got != ["200"] * 4 + ["503"]:
            bad.append(f"streams of {uid}: {got}")
        for s, _ in held:
            s.close()


def check_slow(place):
    for sent in (b"GET /api/v1/me HTTP/1.1\r\nHost", b""):
        since = time.monotonic()
        with place.connect() as s:
            s.settimeout(120)
            s.sendall(sent)
            got = s.recv(100)
        took = time.monotonic() - since
        if got or took < 5 or took > 100:
            bad.append(f"slow request {sent!r}: {took:.1f} s {got!r}")
    got = place.raw(b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60000 + b"\r\n\r\n")
    want("60 KB of headers", 431, got)


resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
mine, readers = sign_in(FOUR, CASE["root_url"]), sign_in(FOUR, CASE["reader_url"], READER)
for place in (FOUR, SIX):
    for name in sorted(described.keys() & ROUTES.keys()):
        check_route(place, name, mine, readers)
    check_page(place)
    check_roles(place, mine, readers)
    check_bounds(place, mine, readers)
    want("unknown path", 404, place.ask("GET", "/etc/passwd", Cookie=mine))
    want("unknown path without a cookie", 401, place.ask("GET", "/etc/passwd"))
    want("HEAD of the API", 405, place.ask("HEAD", "/api/v1/me", Cookie=mine))
want("localhost", 200, FOUR.ask("GET", "/api/v1/me", host=f"localhost:{PORT}", Cookie=mine))
check_slow(FOUR)
check_streams(mine, readers)
want("logout", 204, SIX.ask("POST", "/api/v1/logout", "{}", Cookie=mine, **SIX.change))
want("after logout", 401, FOUR.ask("GET", "/api/v1/me", Cookie=mine))
want("the other's session goes on", 200,
     FOUR.ask("GET", "/api/v1/me", uid=READER, Cookie=readers))
print("\n".join(bad) or "all as wanted")
sys.exit(bool(bad))
