#!/usr/bin/env python3
"""Draws the metrics of a run as a picture: loss by step, and one metric of the validation by epoch. Python's standard library only.

    plot_metrics.py run/metrics.csv accuracy picture.svg
"""
import csv
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 200, 56, 40, 84
INK, GRID, LINE = "#333333", "#dddddd", "#1f6fb4"


def rows(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def nice_ticks(low, high, count=4):
    step = (high - low) / count or 1
    size = 10 ** len(str(int(1 / step))) if step < 1 else 1
    step = max(round(step * size) / size, 1 / size)
    first = int(low / step) * step
    return [t for t in (first + i * step for i in range(count + 3)) if low <= t <= high + 1e-12]


def panel(x0, title, x_name, points, dots):
    xs, ys = zip(*points)
    low, high = min(ys), max(ys)
    margin = (high - low or 1) * 0.06
    low, high = low - margin, high + margin
    at = lambda x, y: (x0 + WIDTH * (x - min(xs)) / (max(xs) - min(xs) or 1), TOP + HEIGHT * (high - y) / (high - low))
    out = [f'<text x="{x0}" y="{TOP - 14}" font-weight="bold">{title}</text>']
    for t in nice_ticks(low, high):
        y = at(xs[0], t)[1]
        out.append(f'<line x1="{x0}" x2="{x0 + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        out.append(f'<text x="{x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{t:.3g}</text>')
    for x in (xs[0], xs[len(xs) // 2], xs[-1]):
        out.append(f'<text x="{at(x, low)[0]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{x:g}</text>')
    out.append(f'<text x="{x0 + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">{x_name}</text>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in points))
    out.append(f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.8"/>')
    if dots:
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{LINE}"/>' for x, y in (at(*p) for p in points)]
        x, y = at(*points[-1])
        out.append(f'<text x="{x - 4:.1f}" y="{y - 8:.1f}" text-anchor="end">{points[-1][1]:.4f}</text>')
    return out


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    path, metric, picture = sys.argv[1:]
    loss = [(int(r["step"]), float(r["loss"])) for r in rows(path)]
    value = [(int(float(r["epoch"])), float(r[metric])) for r in rows(path + ".epochs.csv")]
    width, height = 2 * LEFT + 2 * WIDTH + GAP - LEFT + 20, TOP + HEIGHT + 48
    body = panel(LEFT, "training loss", "optimizer step", loss, False) + panel(LEFT + WIDTH + GAP, f"test {metric}", "epoch", value, True)
    with open(picture, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12" fill="{INK}">\n')
        f.write(f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    main()
