"""Arrow's memory pool in a process with a sink."""

import pyarrow as pa

from soundlake.wiring.sink import allocate_with_jemalloc


def test_a_process_with_a_sink_uses_jemalloc_where_arrow_has_it():
    before = pa.default_memory_pool()
    try:
        allocate_with_jemalloc()
        name = pa.default_memory_pool().backend_name
    finally:
        pa.set_memory_pool(before)
    assert name == ("jemalloc" if "jemalloc" in pa.supported_memory_backends() else before.backend_name)
