"""The light and the dark theme: Streamlit's theme settings and the colours of our own HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one appearance; `series` are for categories in this order, `intensities` go from few to many."""

    background: str
    panel: str
    text: str
    border: str
    accent: str
    series: tuple[str, ...]
    intensities: tuple[str, ...]


LIGHT = Palette(
    background="#FCFDFD",
    panel="#F1F5F6",
    text="#14232B",
    border="#DCE4E7",
    accent="#0B7A75",
    series=("#0B7A75", "#E4803C", "#5865C3", "#C2477F", "#8A9A2B", "#3E97CF", "#99694C", "#74838B"),
    intensities=("#EAF4F3", "#D0E8E6", "#B0D9D6", "#8CC8C4", "#66B5B0", "#429F9A", "#248A85", "#0B7A75", "#075E5A", "#04413F"),
)
DARK = Palette(
    background="#0E1519",
    panel="#162026",
    text="#E4ECEF",
    border="#2B3941",
    accent="#2FC6B8",
    series=("#2FC6B8", "#F2A065", "#8E9BF0", "#E77FB0", "#BCCB5A", "#70BEEA", "#C99B7D", "#94A3AB"),
    intensities=("#142429", "#15333A", "#16444A", "#17575B", "#196B6D", "#1C8281", "#229A96", "#2BB3A9", "#5AD2C4", "#A0EBDF"),
)


def list_theme_options() -> dict[str, str]:
    """Streamlit's options for both appearances; the browser's preference chooses between them."""
    options = {"theme.baseRadius": "0.5rem", "theme.metricValueFontSize": "1.75rem", "theme.metricValueFontWeight": "600"}
    for name, palette in (("light", LIGHT), ("dark", DARK)):
        options |= {
            f"theme.{name}.primaryColor": palette.accent,
            f"theme.{name}.backgroundColor": palette.background,
            f"theme.{name}.secondaryBackgroundColor": palette.panel,
            f"theme.{name}.textColor": palette.text,
            f"theme.{name}.borderColor": palette.border,
            f"theme.{name}.linkColor": palette.accent,
            f"theme.{name}.greenColor": palette.accent,
            f"theme.{name}.sidebar.backgroundColor": palette.panel,
            f"theme.{name}.sidebar.secondaryBackgroundColor": palette.background,
            f"theme.{name}.chartCategoricalColors": _list(palette.series),
            f"theme.{name}.chartSequentialColors": _list(palette.intensities),
        }
    return options


def assign_colours(names: Sequence[str], palette: Palette) -> dict[str, str]:
    """A colour for each name by its place, so that a name keeps it when others are filtered out."""
    return {name: palette.series[place % len(palette.series)] for place, name in enumerate(names)}


def choose_palette(appearance: str | None) -> Palette:
    """The palette of the appearance that the browser reports; light where it reports none."""
    return DARK if appearance == "dark" else LIGHT


def _list(colours: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{colour}"' for colour in colours) + "]"
