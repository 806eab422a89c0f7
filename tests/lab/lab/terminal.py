# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal for programs that draw on one: what they drew, and what is typed to them."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

import pyte

from .process import wait_for

KEYS = {"up": "\033OA", "down": "\033OB", "right": "\033OC", "left": "\033OD", "enter": "\r",
        "escape": "\033", "end": "\033OF", "home": "\033OH", "backspace": "\177"}


class _Screen(pyte.Screen):
    """With the three of xterm's that pyte leaves out (ECMA-48 SU, SD, REP)."""

    last = " "

    def draw(self, data):
        super().draw(data)
        self.last = data[-1:] or self.last

    def _at(self, line, move, count):
        y, x = self.cursor.y, self.cursor.x
        self.cursor.y = line
        for _ in range(count):
            move()
        self.cursor.y, self.cursor.x = y, x

    def _margins(self):
        return self.margins or pyte.screens.Margins(0, self.lines - 1)

    def scroll_up(self, count=1):
        self._at(self._margins().bottom, self.index, count or 1)

    def scroll_down(self, count=1):
        self._at(self._margins().top, self.reverse_index, count or 1)

    def repeat(self, count=1):
        self.draw(self.last * (count or 1))


class _Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down", "b": "repeat"}
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down", "repeat"}


class Terminal:
    """Runs argv where place is, on a terminal of its own of lines and columns."""

    def __init__(self, place, *argv, lines=24, columns=80, env=None):
        self._master, self._slave = pty.openpty()
        self.screen = _Screen(columns, lines)
        self._stream = _Stream(self.screen)
        self.raw = b""
        self._set_size(lines, columns)
        self.before = termios.tcgetattr(self._slave)
        self.popen = subprocess.Popen(
            place._argv(argv, None), stdin=self._slave, stdout=self._slave, stderr=self._slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=place._env({"TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})}))
        os.set_blocking(self._master, False)

    def _set_size(self, lines, columns):
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, lines, columns):
        """As a person drags the window's corner."""
        self.look()
        self.screen.resize(lines, columns)
        self._set_size(lines, columns)
        self.popen.send_signal(signal.SIGWINCH)

    def look(self):
        """What stands on the screen, a line each."""
        while True:
            try:
                said = os.read(self._master, 65536)
            except (BlockingIOError, OSError):
                break
            self.raw += said
            self._stream.feed(said)
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.look())

    def line(self, word):
        """The first line with word in it, or None."""
        return next((line for line in self.look() if word in line), None)

    def wait(self, *words, gone=(), seconds=120):
        """Until all words stand somewhere on the screen, and none of gone."""
        def there():
            text = self.text
            return all(w in text for w in words) and not any(w in text for w in gone)
        try:
            wait_for(there, f"{words} on the screen", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; there is, rc {self.popen.poll()}:\n{self.text}") from None

    def until(self, condition, what, seconds=120):
        """Until condition() holds; the screen is in the message if it never does."""
        try:
            return wait_for(lambda: self.look() and condition(), what, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; there is:\n{self.text}") from None

    def type(self, *keys):
        """Names of KEYS, or text."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())

    def ended(self, seconds=120):
        """Its exit status."""
        wait_for(lambda: self.look() and self.popen.poll() is not None, "the end", seconds)
        self.look()
        return self.popen.returncode

    @property
    def restored(self):
        """The modes of before, the cursor seen, the other screen left."""
        return (termios.tcgetattr(self._slave) == self.before and
                self.raw.rfind(b"\033[?1049l") > self.raw.rfind(b"\033[?1049h") and
                not self.screen.cursor.hidden)

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        os.close(self._master)
        os.close(self._slave)
