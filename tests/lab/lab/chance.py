# SPDX-License-Identifier: GPL-2.0-or-later
"""Random stories: how long they are, and the seed by which one is told again."""

import os
import random
import secrets


def amount(variable, usual):
    """How much of it: the environment's word, else what a usual run can afford."""
    return int(os.environ.get(variable) or usual)


def seeded():
    """A generator of its own; a story that fails shows the seed."""
    seed = int(os.environ.get("SCUPPER_SEED") or secrets.randbelow(1_000_000_000))
    print(f"again with: SCUPPER_SEED={seed}")
    return random.Random(seed)
