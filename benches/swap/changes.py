"""A directory of manifests -> the same, changed one by one while others are busy.

In: how many Apps, how many changes, how long that may take. Out: which revision each App has now. Never: two changes at once.
"""

import asyncio
import itertools
import random
import time

from common import manifests

# Of every ten changes, one is to an App that is under load.
_BUSY_ONE_IN = 10


class Changes:
    """Changes of Apps; the first few of them are those under load."""

    def __init__(self, directory, root, apps, busy):
        """`busy`: number -> the further fields that its rule has."""
        self._directory, self._root, self._busy = directory, root, busy
        self._chosen, self._next_busy = random.Random(apps), itertools.cycle(busy)
        self._quiet = [number for number in range(apps) if number not in busy]
        self._count = 0
        # Number -> the revision that it should answer with.
        self.revisions = {}

    def write_all(self):
        """All manifests, as they are before the first change."""
        for number in sorted([*self._quiet, *self._busy]):
            self._write(number, 0)

    async def make(self, count, seconds):
        """So many changes, spread over these seconds. Returns how many were of Apps under load."""
        began, busy = time.monotonic(), 0
        for done in range(count):
            self._count += 1
            if self._count % _BUSY_ONE_IN == 0:
                number, busy = next(self._next_busy), busy + 1
            else:
                number = self._chosen.choice(self._quiet)
            self._write(number, self._count)
            self.revisions[number] = self._count
            await asyncio.sleep(max(0, began + seconds * (done + 1) / count - time.monotonic()))
        return busy

    def _write(self, number, revision):
        socket, more = self._busy.get(number, (manifests.SOCKET, manifests.ONLY_GET))
        manifests.write(self._directory, number, manifests.text(number, self._root, revision, socket, more))
