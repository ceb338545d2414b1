"""Random bytes are never given twice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from oneai.kit import entropy


def test_no_bytes_are_given_twice_in_any_thread_or_forked_process() -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: entropy.take(16), range(4000)))
    read, write = os.pipe()
    entropy.take(16)
    if (child := os.fork()) == 0:
        os.write(write, b"".join(entropy.take(16) for _ in range(8)))
        os._exit(0)
    os.waitpid(child, 0)
    forked = os.read(read, 128)
    taken += [forked[place : place + 16] for place in range(0, 128, 16)]
    taken += [entropy.take(16) for _ in range(8)]
    assert len(set(taken)) == len(taken)
