# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers for real clients, run as a program of its own: wares.py ADDRESS DIRECTORY serves on
port 8443 by TLS git's smart HTTP of the repositories below DIRECTORY/git, and /stream, a
gigabyte that no two places of are alike; on port 8444 by TLS a WebSocket that echoes."""

import asyncio
import http.server
import os
import ssl
import subprocess
import sys
import threading

GIT = "/usr/lib/git-core/git-http-backend"
# the stream, also for whoever wants its checksum
STREAM = "openssl enc -aes-128-ctr -K 07 -iv 07 -in /dev/zero 2>/dev/null | head -c 1073741824"


class Wares(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Length", "1073741824")
            self.end_headers()
            with subprocess.Popen(["sh", "-c", STREAM], stdout=subprocess.PIPE) as made:
                while some := made.stdout.read(1 << 18):
                    self.connection.sendall(some)
            return
        self.git(b"")

    def do_POST(self):
        self.git(self.rfile.read(int(self.headers["Content-Length"])))

    def git(self, body):
        path, _, query = self.path.partition("?")
        env = {**os.environ, "GIT_PROJECT_ROOT": f"{DIRECTORY}/git", "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "lab", "REMOTE_ADDR": "far",
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        head, _, rest = subprocess.run([GIT], input=body, env=env, check=False,
                                       stdout=subprocess.PIPE).stdout.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((v for k, v in lines if k == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for key, value in lines:
            if key not in ("Status", "Content-Length"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        raw, peer = super().get_request()
        return TLS.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), peer


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def websocket():
    import websockets
    async with websockets.serve(echo, ADDRESS, 8444, ssl=TLS, ping_interval=1, max_size=None):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    ADDRESS, DIRECTORY = sys.argv[1:]
    TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TLS.load_cert_chain(f"{DIRECTORY}/server.pem", f"{DIRECTORY}/server.key")
    threading.Thread(target=Server((ADDRESS, 8443), Wares).serve_forever, daemon=True).start()
    asyncio.run(websocket())
