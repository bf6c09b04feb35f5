"""The time zone of a country, as far as a country tells it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytz

_LARGEST_ZONE = {
    "AR": "America/Argentina/Buenos_Aires", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "CA": "America/Toronto",
    "CD": "Africa/Kinshasa", "CL": "America/Santiago", "CN": "Asia/Shanghai", "EC": "America/Guayaquil", "ES": "Europe/Madrid",
    "FM": "Pacific/Pohnpei", "GL": "America/Nuuk", "ID": "Asia/Jakarta", "KI": "Pacific/Tarawa", "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar", "MX": "America/Mexico_City", "NZ": "Pacific/Auckland", "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby", "PS": "Asia/Gaza", "PT": "Europe/Lisbon", "RU": "Europe/Moscow", "UA": "Europe/Kyiv",
    "UM": "Pacific/Wake", "US": "America/New_York",
}  # fmt: skip
"""Where a country has several zones: the one in which most of its people live."""

_SAMPLES = tuple(datetime(2026, month, 15, 12, tzinfo=UTC) for month in (1, 4, 7, 10))


def list_zones() -> dict[str, tuple[str, bool]]:
    """By country code: its zone (of several the one where most people live), and whether all its zones show the same time anyway."""
    return {
        country: (_LARGEST_ZONE.get(country, zones[0]), len({_read_offsets(zone) for zone in zones}) == 1)
        for country, zones in pytz.country_timezones.items()
    }


def _read_offsets(zone: str) -> tuple[str, ...]:
    return tuple(moment.astimezone(pytz.timezone(zone)).strftime("%z") for moment in _SAMPLES)
