"""docs/realism.md and its two plots, from the report of bench/realism.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

PERCENTILES = ("5 %", "25 %", "median", "75 %", "95 %")
INK, BAND, BOX, COLOURS = "#222222", "#d7e3f4", "#8fb3dd", ("#d1495b", "#2e8b57", "#b8860b", "#6a4c93")

_PAGE = """# Realism, measured

How similar the generated listeners are to real ones. The real listeners here are {names}: Spotify exports that
their owners published. Only this benchmark reads them; they are not part of the project, and the generator does not read them. General
observations from them (skips come in quick bursts, few plays are followed by a long pause) shaped its ranges. Created by

    python bench/realism.py FOLDER... --durations TRACKS.parquet... --artists user_artists.dat.gz --page docs

where each FOLDER has the extended export of one person ({listeners} generated listeners, {days} days, seed {seed}).

## Measures
For each of {measures} measures: the generated population ({generated} listeners with 200 plays or more) from the 5th to the 95th
percentile, and the real listeners. {outside}

![Measures](realism-measures.svg)

{table}

Measured as in the exports: ends in whole seconds, sessions split at 30 minutes of silence, hours in UTC. `heard_over_duration` covers
only tracks with a known duration (for the real listeners, from public lists of tracks).

**Popularity**: listeners per artist, among each listener's fifty most played, over the artist's rank (slope of the logarithms, ranks 1 to
300): {slopes}.

## Pairs of listeners
A classifier (LightGBM with default settings) distinguishes the sessions (two plays or more) of two listeners: five shuffled folds, equal
numbers (200 to 400 each), from plays, duration, share of short plays, share of repeats, artists per play, mean and spread of the gaps, hour
and weekday of the start, mean and spread of `ms_played`. An AUC of 0.5 is chance. Pairs of real people have 0.83 to 0.99, median 0.95 (15
pairs of six people), so even real people are not indistinguishable. The questions are whether generated listeners differ from each other
as much as people do, and whether some generated listener is close to a given real person.

![Pairs of listeners](realism-pairs.svg)

**Pairs of generated listeners** ({pairs} pairs): {quantiles}.

{nearest}

Features that distinguish the farthest tenth of the generated listeners from the real one (share of the gain):

{features}

## Limits
- Two real listeners are few: one mostly plays one artist, the other's export has only a part of a long history. The population is meant to
  be wide, not to match these two; other exports can be compared with the command above.
- A wide population has fewer listeners close to a given person: the more kinds of listeners, the fewer of 500 are similar.
- Another seed gives another population: the nearest to listener-c was between 0.73 and 0.81, because few listeners play one artist only.
- About one generated listener in six mostly plays one artist, which is more than natural; with one in eight, and more variation of mood
  between sessions, the nearest to listener-c was at 0.81 to 0.82.
- Artists per play and gaps distinguish sessions most. Real gaps vary in more ways than the generator's moods and pauses.
"""


def write_page(folder: Path, report: dict[str, Any]) -> None:
    """Write realism.md and the plots beside it."""
    mpl.rcParams.update({"svg.hashsalt": "realism", "svg.fonttype": "none", "font.size": 8, "text.color": INK, "axes.spines.top": False})
    measures, pairs = report["measures"], report["among_generated"]
    outside = [f"{name}: {', '.join(missed)}" for name, missed in measures["outside"].items() if missed]
    page = _PAGE.format(
        names=" and ".join(report["real"]) or "none",
        **report["world"],
        measures=measures["measures"],
        generated=measures["generated"],
        outside=f"Outside: {'; '.join(outside)}." if outside else "All are inside.",
        table=_write_table(
            ["measure", *PERCENTILES, *report["real"]],
            [[name, *row["generated"], *(row[person] for person in report["real"])] for name, row in measures["table"].items()],
        ),
        slopes=", ".join(f"{whose} {value}" for whose, value in report["popularity_slope"].items()),
        pairs=pairs["pairs"],
        quantiles=", ".join(f"{name} {value}" for name, value in zip(PERCENTILES, pairs["quantiles"], strict=True)),
        nearest=_write_table(
            ["real listener", "sessions", "nearest of " + str(report["candidates"]), "90 % interval", "at 0.80 or less", "median"],
            [
                [name, one["sessions"], one["nearest"], " to ".join(map(str, one["interval"])), one["at_most_0.80"], one["quantiles"][2]]
                for name, one in report["real"].items()
            ],
        ),
        features=_write_table(
            ["real listener", "first", "second", "third", "fourth"],
            [
                [name, *(f"{feature} {gain}" for feature, gain in list(one["farthest_by_feature"].items())[:4])]
                for name, one in report["real"].items()
            ],
        ),
    )
    (folder / "realism.md").write_text(page, encoding="utf-8")
    _plot_measures(folder / "realism-measures.svg", report)
    _plot_pairs(folder / "realism-pairs.svg", report)


def _write_table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _plot_measures(file: Path, report: dict[str, Any]) -> None:
    """A bar per measure, from the 5th to the 95th percentile of the generated listeners, and a dot per real listener."""
    table = report["measures"]["table"]
    figure, axes = plt.subplots(figsize=(7, 0.2 * len(table) + 0.6))
    for line, (name, row) in enumerate(reversed(table.items())):
        low, lower, middle, upper, high = row["generated"]
        scale = (high - low) or 1.0
        axes.barh(line, 1, color=BAND, height=0.7)
        axes.barh(line, (upper - lower) / scale, left=(lower - low) / scale, color=BOX, height=0.7)
        axes.plot([(middle - low) / scale] * 2, [line - 0.35, line + 0.35], color=INK, linewidth=1)
        for person, colour in zip(report["real"], COLOURS, strict=False):
            axes.plot((row[person] - low) / scale, line, "o", color=colour, markersize=4, label=person if line == 0 else None)
        axes.text(-0.02, line, name, ha="right", va="center")
    axes.set(yticks=[], xticks=[0, 1], xticklabels=["5 %", "95 %"], xlim=(-0.08, 1.08))
    axes.spines[["left", "right"]].set_visible(False)
    _finish(figure, axes, file)


def _plot_pairs(file: Path, report: dict[str, Any]) -> None:
    """A histogram of the AUC of the pairs, with the nearest generated listeners of each real one."""
    figure, axes = plt.subplots(figsize=(7, 2.2))
    axes.hist(report["among_generated"]["areas"], bins=[0.5 + 0.02 * step for step in range(26)], color=BOX, label="pairs of generated")
    axes.axvspan(0.83, 0.99, color="#eeeeee", zorder=0, label="pairs of real ones, elsewhere")
    for (name, one), colour in zip(report["real"].items(), COLOURS, strict=False):
        axes.plot(one["nearest_ten"], [1] * len(one["nearest_ten"]), "|", color=colour, markersize=14, label=f"the ten nearest to {name}")
    axes.set(xlabel="AUC", ylabel="pairs", xlim=(0.5, 1))
    _finish(figure, axes, file)


def _finish(figure: Any, axes: Any, file: Path) -> None:  # noqa: ANN401  # matplotlib's own types are unions of half its classes
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
