"""From where Arrow takes its memory in a process that stores batches of like size, one after another."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa


def allocate_with_jemalloc() -> None:
    """Let the whole process allocate by jemalloc, which keeps what was freed for seconds, where Arrow was built with it.

    Arrow's default (mimalloc) gives freed pages back within milliseconds; the next batch then asks the kernel for the same ones anew, a
    fifth of the processor time of the road from Kafka (bench/kafka.py).
    """
    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())
