# SPDX-License-Identifier: GPL-2.0-or-later
"""One act by programs that may not and then by one that may, judged on the far side."""

from . import zones
from .process import wait_for


def pair(n):
    """An address of each family for one story: numbers from 0 on, shared by all files."""
    return zones.address4(400 + n), zones.address6(400 + n)


def to_any(addresses):
    """A capture's words."""
    return " or ".join(f"dst host {a}" for a in addresses)


def arrives(lab, addresses, act):
    """act() reaches every address. What a program sends before anybody has met it may be
    held, so that it may have to try again."""
    with lab.capture(to_any(addresses)) as wire:
        def reached():
            act()
            return all(wire.packets(dst=a) for a in addresses)
        wait_for(reached, f"{addresses} to be reached")
        return wire.packets()


def nothing_then(lab, addresses, refused, control):
    """refused() leaves nothing, control() reaches every address; gives what that sent."""
    with lab.capture(to_any(addresses)) as wire:
        refused()
        assert not wire.packets(), f"left: {[str(p) for p in wire.packets()][:5]}"
    return arrives(lab, addresses, control)
