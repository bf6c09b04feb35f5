"""Arrow's memory in a process with a sink."""

import pyarrow as pa

from soundlake.sink.memory import allocate_with_jemalloc


def test_a_process_with_a_sink_allocates_where_freed_memory_is_kept():
    before = pa.default_memory_pool()
    try:
        allocate_with_jemalloc()
        kept = pa.default_memory_pool().backend_name
    finally:
        pa.set_memory_pool(before)
    assert kept == ("jemalloc" if "jemalloc" in pa.supported_memory_backends() else before.backend_name)
