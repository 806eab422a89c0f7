# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw requests to the dashboard's port from inside; says what went otherwise than wanted."""

import re
import socket
import sys
import time

URL = sys.argv[1]
HOST, TOKEN = re.fullmatch(r"http://([^/]+)/#t=([0-9a-f]{64})", URL).groups()
PORT = int(HOST.rsplit(":", 1)[1])
bad = []


def raw(data, wait=5):
    with socket.create_connection(("127.0.0.1", PORT), 5) as s:
        s.settimeout(wait)
        got = b""
        try:
            s.sendall(data)
            while more := s.recv(65536):
                got += more
        except OSError:
            pass
    return got.decode("latin-1")


def ask(method, path, body=None, host=HOST, **headers):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items() if v is not None]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return raw(("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode())


def want(what, status, got):
    code = int(got.split()[1]) if got else 0
    if code != status:
        bad.append(f"{what}: wanted {status}, got {code} {got[-200:]!r}")
    return got


CHANGE = {"Origin": f"http://{HOST}", "Content_Type": "application/json", "X_Scupper": "1"}
login = f'{{"token":"{TOKEN}"}}'
want("login without origin", 403, ask("POST", "/api/v1/login", login,
                                      **{**CHANGE, "Origin": None}))
got = want("login", 204, ask("POST", "/api/v1/login", login, **CHANGE))
want("token used twice", 401, ask("POST", "/api/v1/login", login, **CHANGE))
found = re.search(r"Set-Cookie: (scupper_\d+=[0-9a-f]{64}); Path=/; HttpOnly; SameSite=Strict",
                  got)
if not found:
    sys.exit(f"no cookie: {bad} {got}")
cookie = found[1]
me = want("me", 200, ask("GET", "/api/v1/me", Cookie=cookie))
for header in ("Content-Security-Policy: default-src 'none'", "nosniff", "no-store",
               "no-referrer", "trusted-types scupper"):
    if header not in me:
        bad.append(f"no {header}")
if "Access-Control" in me:
    bad.append("CORS")

READS = ["status", "queries", "flows", "apps", "events", "rules", "filter",
         "explain?who=unknown&what=a.test", "me", "openapi.json"]
WRITES = [("POST", "rules"), ("DELETE", "rules/1"), ("PATCH", "rules/1"),
          ("POST", "rules/test"), ("POST", "undo/1"), ("PUT", "filter"), ("POST", "explain"),
          ("POST", "logout"), ("POST", "session-tokens")]
other = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
for read in READS:
    path = f"/api/v1/{read}"
    want(f"{read} without a cookie", 401, ask("GET", path))
    want(f"{read} with a wrong cookie", 401, ask("GET", path, Cookie=other))
    for host in ("evil.test", f"evil.test:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}",
                 f"x.localhost:{PORT}", f"127.0.0.1:{PORT}."):
        want(f"{read} as {host}", 403, ask("GET", path, host=host, Cookie=cookie))
    for origin in ("http://evil.test", "null", f"http://127.0.0.1:{PORT + 1}",
                   f"https://{HOST}"):
        want(f"{read} from {origin}", 403, ask("GET", path, Cookie=cookie, Origin=origin))
    for site in ("cross-site", "same-site", "none"):
        want(f"{read} {site}", 403, ask("GET", path, Cookie=cookie, Sec_Fetch_Site=site))
    want(f"OPTIONS {read}", 403, ask("OPTIONS", path, Cookie=cookie,
                                     Origin=f"http://{HOST}"))
for method, name in WRITES:
    path, what = f"/api/v1/{name}", f"{method} {name}"
    want(f"{what} without a cookie", 401, ask(method, path, "{}", **CHANGE))
    for lacking in ("Origin", "X_Scupper"):
        want(f"{what} without {lacking}", 403,
             ask(method, path, "{}", Cookie=cookie, **{**CHANGE, lacking: None}))
    want(f"{what} as text", 415, ask(method, path, "{}", Cookie=cookie,
                                     **{**CHANGE, "Content_Type": "text/plain"}))
    want(f"{what} same-site", 403, ask(method, path, "{}", Cookie=cookie,
                                       Sec_Fetch_Site="same-site", **CHANGE))
want("a token by TCP", 403, ask("POST", "/api/v1/session-tokens", "{}", Cookie=cookie,
                                **CHANGE))
want("oversized", 413, ask("POST", "/api/v1/rules", "x" * 70000, Cookie=cookie, **CHANGE))
want("unknown path", 404, ask("GET", "/etc/passwd", Cookie=cookie))
want("localhost", 200, ask("GET", "/api/v1/me", host=f"localhost:{PORT}", Cookie=cookie))

idle = [socket.create_connection(("127.0.0.1", PORT), 5) for _ in range(1000)]
want("amid idle connections", 200, ask("GET", "/api/v1/me", Cookie=cookie))
for s in idle:
    s.close()
begun = time.monotonic()
if raw(b"GET /api/v1/me HTTP/1.1\r\nHost", 20) or not 5 < time.monotonic() - begun < 16:
    bad.append(f"slow request: {time.monotonic() - begun:.1f} s")

want("logout", 204, ask("POST", "/api/v1/logout", "{}", Cookie=cookie, **CHANGE))
want("after logout", 401, ask("GET", "/api/v1/me", Cookie=cookie))
print("\n".join(bad) or "all as wanted")
sys.exit(bool(bad))
