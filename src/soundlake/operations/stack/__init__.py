"""The full stack on this machine: planned from the settings, brought up, kept up, checked, brought down."""

from soundlake.operations.stack.lifecycle import bring_down, is_up, join, keep_up, launch, restart_service
from soundlake.operations.stack.monitoring import SUPERVISOR, sample_services
from soundlake.operations.stack.plan import Stack, install_programs, place_stack, plan_stack
from soundlake.operations.stack.topics import compare_topics, name_repair, warn_of_producer_clocks

__all__ = [
    "SUPERVISOR",
    "Stack",
    "bring_down",
    "compare_topics",
    "install_programs",
    "is_up",
    "join",
    "keep_up",
    "launch",
    "name_repair",
    "place_stack",
    "plan_stack",
    "restart_service",
    "sample_services",
    "warn_of_producer_clocks",
]
