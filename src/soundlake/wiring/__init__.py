"""The composition root: the only place that turns settings into clients, one file a program. Heavy imports wait until they are used."""

from soundlake.wiring.dead_letters import open_replayer
from soundlake.wiring.erasure import allow_again, is_forgotten, open_connected_accounts, open_erasure
from soundlake.wiring.generator import make_history_wait, open_demo, open_feed
from soundlake.wiring.importing import open_importer
from soundlake.wiring.poller import open_listening_store, open_now_playing, open_poller
from soundlake.wiring.reconciliation import check_everything
from soundlake.wiring.sink import build_log_drain, build_sink
from soundlake.wiring.spotify import open_backfill, open_clients, open_login, open_spotify_telemetry, open_token_store, read_spotify_status
from soundlake.wiring.stack import prepare_stack, read_status
from soundlake.wiring.stream import open_stream
from soundlake.wiring.systems import open_broker, open_kafka, open_lake, open_publisher, open_warehouse
from soundlake.wiring.upkeep import open_upkeep

__all__ = [
    "allow_again",
    "build_log_drain",
    "build_sink",
    "check_everything",
    "is_forgotten",
    "make_history_wait",
    "open_backfill",
    "open_broker",
    "open_clients",
    "open_connected_accounts",
    "open_demo",
    "open_erasure",
    "open_feed",
    "open_importer",
    "open_kafka",
    "open_lake",
    "open_listening_store",
    "open_login",
    "open_now_playing",
    "open_poller",
    "open_publisher",
    "open_replayer",
    "open_spotify_telemetry",
    "open_stream",
    "open_token_store",
    "open_upkeep",
    "open_warehouse",
    "prepare_stack",
    "read_spotify_status",
    "read_status",
]
