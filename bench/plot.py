"""The plot: each row's ratio to native, the median and a bar from minimum to maximum, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path

from bench.contenders import Contender
from bench.measure import Results
from bench.rows import Row

COLOURS = ("#0072b2", "#d55e00", "#7f7f7f", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#000000")
"""Told apart with colour-blind eyes, too (the set of Okabe and Ito); pylx's two come first."""
MARKS = ("o", "o", "s", "D", "^", "v", "P", "X")


def draw(path: Path, rows: list[Row], contenders: list[Contender], results: Results) -> None:
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "pylx", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    others = [each for each in contenders if each.prefix]
    shown = [row for row in rows if row.name in results]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.3 * len(shown)), layout="constrained")
    for index, contender in enumerate(others):
        shift = (index - (len(others) - 1) / 2) * 0.09
        xs, ys, low, high = [], [], [], []
        for line, row in enumerate(shown):
            cell = results[row.name].get(contender.name)
            if cell is not None and cell.samples:
                native = results[row.name]["native"].median
                xs.append(cell.median / native)
                ys.append(line + shift)
                low.append((cell.median - min(cell.samples)) / native)
                high.append((max(cell.samples) - cell.median) / native)
        axes.errorbar(xs, ys, xerr=[low, high], fmt=MARKS[index % len(MARKS)], color=COLOURS[index % len(COLOURS)],
                      markersize=6 if contender.name.startswith("pylx") else 4, linewidth=1, label=contender.name)
    axes.axvline(1, color="#404040", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.set_xlabel("time, as a multiple of the native run (1x)")
    axes.set_yticks(range(len(shown)), [row.name for row in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    for line in range(len(shown) - 1):
        axes.axhline(line + 0.5, color="#e5e5e5", linewidth=0.6)
        if shown[line].group != shown[line + 1].group:
            axes.axhline(line + 0.5, color="#808080", linewidth=0.8)
    axes.grid(axis="x", color="#d9d9d9", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
