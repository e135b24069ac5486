"""Rows as tables in Markdown."""

import re
from collections import defaultdict

import kinds


def in_short(row):
    """One incident in a line."""
    false = "".join(f"; FALSE {one['level']} {one['subject']}: {one['message']}" for one in row["false"])
    if not row["leak"]:
        return f"innocent{false or ': nothing said'}"
    if not row["found"]:
        return f"MISSED (said: {row['level']}){false}"
    marks = [f"{name} {'right' if row[name] else 'WRONG'}" for name in ("owner", "amount", "rate")
             if row[name] is not None]
    return ", ".join([f"found as {row['level']}", *marks]) + false


def share(part, whole):
    """3 of 4 as 3/4 (75 %)."""
    return f"{part}/{whole} ({100 * part / whole:.0f} %)" if whole else "–"


def table(head, lines):
    """A table."""
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(text + ["| " + " | ".join(map(str, line)) + " |" for line in lines])


def tell(rows, name):
    """How many of those that have this mark are right."""
    marked = [row[name] for row in rows if row[name] is not None]
    return share(sum(marked), len(marked))


def what(row):
    """The three kinds of incidents."""
    if not row["leak"]:
        return "innocent"
    return "reachable leak" if row["reachable"] else "unreachable leak"


WHATS = ("unreachable leak", "reachable leak", "innocent")


def confusion(rows):
    """What was planted, against the worst that was said of it (or, of an innocent, at all)."""
    counts = defaultdict(int)
    for row in rows:
        if row["leak"]:
            level = row["level"]
        else:
            levels = {one["level"] for one in row["false"]}
            level = "leak" if "leak" in levels else "suspect" if levels else None
        counts[what(row), level] += 1
    lines = [[name, *(counts[name, level] for level in ("leak", "suspect", None))] for name in WHATS]
    return table(["planted", "`leak`", "`suspect`", "neither"], lines)


def by_verdict(rows):
    """Of all that was said, how much was right; of all that was to be said, how much was."""
    lines = []
    for level, reachable in (("leak", False), ("suspect", True)):
        asked = [row for row in rows if row["leak"] and row["reachable"] == reachable]
        right = sum(row["level"] == level for row in rows if row["leak"])
        false = sum(one["level"] == level for row in rows for one in row["false"])
        lines.append([f"`{level}`", share(sum(row["found"] for row in asked), len(asked)),
                      share(right, right + false), false])
    return table(["verdict", "recall", "precision", "false findings"], lines)


def by(rows, name, names):
    """A line for each kernel or kind."""
    lines = []
    for one in names:
        of = [row for row in rows if row[name] == one]
        leaks = [row for row in of if row["leak"]]
        found = [share(sum(row["found"] for row in leaks if row["reachable"] == held),
                       sum(row["reachable"] == held for row in leaks)) for held in (False, True)]
        quiet = [row for row in of if not row["leak"]]
        lines.append([one, *found, tell(of, "owner"), tell(of, "amount"), tell(of, "rate"),
                      share(sum(not row["false"] for row in quiet), len(quiet)),
                      sum(len(row["false"]) for row in of)])
    return table([name, "unreachable found", "reachable found", "owner right", "amount right",
                  "rate right", "innocents clean", "false findings"], lines)


def wrongs(row):
    """What was missed or is wrong of an incident, without its numbers."""
    if row["leak"] and not row["found"]:
        yield f"missed: {'only `' + row['level'] + '`' if row['level'] else 'nothing said'}"
    bad = [name for name in ("owner", "amount", "rate") if row[name] is False]
    if bad:
        yield " and ".join(bad) + " not right"
    for one in row["false"]:
        yield f"false `{one['level']}`: {one['subject']}, {re.sub(r'[0-9][0-9,.]*', 'N', one['message'])}"


def misses(rows):
    """All that was missed or wrong, by kind, and of which kernels and seeds."""
    incidents = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for wrong in wrongs(row):
            incidents[row["kind"], wrong][row["kernel"]].append(row["seed"])
    lines = []
    for kind in kinds.ALL:
        for (name, wrong), kernels in incidents.items():
            if name == kind:
                where = "; ".join(f"{short(kernel)}: {', '.join(map(str, sorted(seeds)))}"
                                  for kernel, seeds in sorted(kernels.items(), key=lambda of: kinds.version(of[0])))
                lines.append([kind, wrong, where])
    return table(["kind", "what", "kernel: seeds"], lines)


def short(kernel):
    """6.1.0-56-cloud-amd64 is 6.1."""
    return ".".join(map(str, kinds.version(kernel)))


def all_of(rows):
    """Everything, as in docs/evidence.md."""
    kernels = sorted({row["kernel"] for row in rows}, key=kinds.version)
    names = [name for name in kinds.ALL if any(row["kind"] == name for row in rows)]
    parts = [f"{len(rows)} incidents, seeds {sorted({row['seed'] for row in rows})}", confusion(rows),
             by_verdict(rows), by(rows, "kernel", kernels), by(rows, "kind", names), misses(rows)]
    return "\n\n".join(parts)
