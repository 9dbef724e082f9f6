"""What a benchmark written in Python prints: the rows of support/bench.hpp."""
import json
import statistics
import sys


def interval(values):
    """A median, and the interval in which the true one lies with at least 95 %, by order statistics; all values where they are too few."""
    v, n = sorted(values), len(values)
    k, outside, p = 0, 0.0, 0.5**n
    while k < n // 2 and 2 * (outside + p) <= 0.05:
        outside, p, k = outside + p, p * (n - k) / (k + 1), k + 1
    k = max(k - 1, 0)
    return statistics.median(v), v[k], v[n - 1 - k]


class Report:
    def __init__(self, bench, as_json):
        self.bench, self.as_json, self.missed = bench, as_json, 0
        if not as_json:
            print(f"{bench}\n  {'row':34} {'median':>12} {'unit':12} {'low .. high':>25} {'rounds':>7}  goal")

    def add(self, row, values, unit, op=None, bound=None, vs=None, reason=None, note=None):
        """`values`: one per round; none, with a reason, where the row could not be measured. `note`: words beside the figure."""
        value, low, high = interval(values) if values else (None, None, None)
        ok = None if op is None else value is not None and (value <= bound if op == "<=" else value >= bound)
        self.missed += ok is False
        if self.as_json:
            goal = None if op is None else {"op": op, "value": bound}
            short = [None if x is None else float(f"{x:.6g}") for x in (value, low, high)]
            print(json.dumps({"bench": self.bench, "row": row, "value": short[0], "unit": unit, "low": short[1], "high": short[2], "rounds": len(values),
                              "vs": vs, "goal": goal, "ok": ok, **({"reason": reason} if reason else {}), **({"note": note} if note else {})}), flush=True)
        elif value is None:
            print(f"  {row:34} {'-':>12} {unit:12} {'':25} {'':7}  {reason}", flush=True)
        else:
            verdict = "" if op is None else f"{op} {bound:g}  {'met' if ok else 'MISSED'}"
            vs = f"{', ' if verdict else ''}vs {vs}" if vs else ""
            note = f"{'; ' if verdict + vs else ''}{note}" if note else ""
            print(f"  {row:34} {value:12.4g} {unit:12} {f'{low:.4g} .. {high:.4g}':>25} {len(values):7}  {verdict}{vs}{note}", flush=True)

    def finish(self):
        if self.missed:
            print(f"{self.bench}: {self.missed} goal(s) missed", file=sys.stderr)
