"""One module per page, each with a PAGE; a new file here is a new page."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from soundlake.dashboard.page import Page


def discover_pages() -> tuple[Page, ...]:
    """Every page, in the order of the navigation."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    pages: list[Page] = [import_module(f"{__name__}.{name}").PAGE for name in names]
    return tuple(sorted(pages, key=lambda page: page.order))
