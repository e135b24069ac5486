"""What vmleak said of an incident, against what was planted."""

import re

from kinds import ALL

LEVELS = ("suspect", "leak")
# They are of no cache or owner: part of any leak that is large enough, and wrong without one.
SUMS = ("slab-large", "unexplained-large", "large-kmalloc-large")
CLOSE = 0.05


def family(name):
    """kmalloc-cg-256 and kmalloc-rnd-03-256 are kmalloc-256; the skbs' cache has two names."""
    name = re.sub(r"^(dma-)?kmalloc-((cg|rcl|rnd-\d+|part-\d+)-)*", "kmalloc-", name)
    return "skbuff_head_cache" if name.startswith("skbuff") else name


def names_of(finding, aliases):
    """All names of what a finding is about."""
    own = [finding["subject"], *aliases.get(finding["subject"], [])]
    return {family(name) for name in own}


def said(finding):
    """All that it says in words."""
    reasons = [reason["message"] for part in finding["evidence"].values() for reason in part]
    owners = [f"{owner['module']} {owner['how']}" for owner in finding["owners"]]
    return " ".join([finding["message"], finding["owner"] or "", *owners, *reasons])


def without_texts(words):
    """Without what objects begin with: that they hold a name is no owner named."""
    return re.sub(r'"[^"]*"', "", words)


def about(finding, aliases, subjects, kind):
    """Whether it is about what was planted."""
    names = names_of(finding, aliases)
    if any(subject in name for subject in subjects for name in names if subject in ("per-CPU", "bpf map")):
        return True
    words = without_texts(said(finding))
    return bool(names & subjects) or any(re.search(rf"\b{owner}\b", words) for owner in kind.owners)


def brought_along(finding, aliases, kind):
    """Whether it is about what hangs on what was planted."""
    related = {family(name) for name in kind.related}
    codes = {reason["code"] for reason in finding["evidence"]["for"]}
    return bool(names_of(finding, aliases) & related) or "led-by" in codes or finding["code"] in SUMS


def close(one, other):
    """Within five per cent."""
    return other > 0 and abs(one - other) <= CLOSE * other


def amount_is_right(finding, part):
    """Objects or bytes are those planted, or the number is told in words."""
    if close(finding["objects"] or 0, part["objects"]) or close(finding["bytes"], part["bytes"]):
        return True
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", said(finding))]
    return any(close(number, part["objects"]) for number in numbers)


def rate_is_right(answer, finding, truth):
    """From the ages of the lost: over about as long as they were lost."""
    for cache in answer["caches"]:
        if cache["name"] != finding["cache"]:
            continue
        for age in cache["unreachable"]["ages"]:
            seconds = age["oldest_seconds"] - age["youngest_seconds"]
            if 0.75 <= seconds / truth["seconds"] <= 1.25:
                return True
    return False


def best(findings):
    """The worst level first, then whose owner is known."""
    return max(findings, key=lambda one: (LEVELS.index(one["level"]), one["owner"] is not None, one["bytes"]))


def short(finding):
    """What it said, for a table."""
    return {key: finding[key] for key in ("level", "code", "subject", "owner", "objects", "bytes", "message")}


def score(kernel, truth, answer):
    """A row: what was planted, whether it was found, and what else was said."""
    kind = ALL[truth["kind"]]
    aliases = {cache["name"]: cache["aliases"] for cache in answer["caches"]}
    findings = [one for one in answer["findings"] if one["level"] in LEVELS]
    parts = {family(part["subject"]): part for part in truth.get("parts", [])}
    subjects = set(parts) | {family(name) for name in kind.subjects}
    row = {
        "kernel": kernel, "kind": kind.name, "seed": truth["seed"], "leak": kind.leak,
        "reachable": kind.reachable, "verdicts": list(kind.verdicts), "complete": answer["complete"],
        "parts": truth.get("parts", []), "found": None, "level": None, "owner": None,
        "amount": None, "rate": None,
    }
    planted = [one for one in findings if kind.leak and about(one, aliases, subjects, kind)]
    rest = [one for one in findings if one not in planted]
    row["false"] = [short(one) for one in rest if not (kind.leak and brought_along(one, aliases, kind))]
    row["said"] = [short(one) for one in findings]
    if not kind.leak:
        return row
    right = [one for one in planted if one["level"] in kind.verdicts]
    row["found"] = bool(right)
    row["level"] = best(planted)["level"] if planted else None
    if not right:
        row["held_by"] = [held(cache) for cache in answer["caches"]
                          if {family(cache["name"]), *map(family, cache["aliases"])} & subjects]
        return row
    finding = best(right)
    part = next((parts[name] for name in names_of(finding, aliases) if name in parts), None)
    if part:
        row["amount"] = amount_is_right(finding, part)
    if kind.owners and not truth.get("unowned"):
        words = without_texts(" ".join(said(one) for one in right))
        row["owner"] = any(re.search(rf"\b{owner}", words) for owner in kind.owners)
    if truth.get("seconds"):
        row["rate"] = rate_is_right(answer, finding, truth)
    return row


def held(cache):
    """What was said of a cache that should have been found."""
    verdict = cache["verdict"]
    return {
        "name": cache["name"], "level": verdict["level"], "allocated": cache["exact"]["allocated"],
        "unreachable": cache["unreachable"]["objects"],
        "reasons": [reason["message"] for part in ("for", "against", "not_checked")
                    for reason in verdict[part]],
    }


def wrong(row):
    """Whether the dump is worth another look."""
    return bool(row["false"]) or (row["leak"] and not row["found"]) or row["owner"] is False
