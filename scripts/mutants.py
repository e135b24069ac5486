#!/usr/bin/env python3
"""Many mutants in one build.

cargo-mutants builds once for each mutant. This writes all mutants of its list into one tree,
each behind a switch that VMLEAK_MUTANT=NUMBER turns on, so that only tests are run for each.

    cargo mutants --list --json -f 'src/dump/**' >list.json
    scripts/mutants.py write list.json COPY      # COPY: a copy of the worktree, changed
    scripts/mutants.py run list.json COPY OUT -- TESTS   # each mutant by stages of tests

A stage is a shell command, run in COPY with VMLEAK_MUTANT and MUTANT_FILE (its source file); the
first that fails has caught the mutant. PART=K/N runs a part of the list, SECONDS_EACH (60) is how
long a stage may take, ONLY=OUT tries again those that an earlier run missed.

write drops those that do not compile (cargo build says which) and those that can't be switched:
in constants, in conditions with a `let`, and values of functions that return `impl Trait`. Needs tree-sitter and tree-sitter-rust (PyPI).
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SWITCH = '''
static MUTANT: std::sync::LazyLock<Option<u32>> = std::sync::LazyLock::new(|| {
    let chosen = std::env::var("VMLEAK_MUTANT").ok()?;
    chosen.parse().ok()
});
/// Whether this mutant is on.
pub(crate) fn mutant(number: u32) -> bool {
    *MUTANT == Some(number)
}
'''
CONSTANT = {"const_item", "static_item", "array_type", "enum_variant", "const_block"}


class Source:
    """One file and the mutants in it."""

    def __init__(self, path, mutants):
        import tree_sitter
        import tree_sitter_rust

        self.text = path.read_bytes()
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
        self.tree = parser.parse(self.text)
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.wraps, self.before, self.arms, self.guards = {}, {}, {}, {}
        self.out_of_reach = {n for n, mutant in mutants if not self.place(n, mutant)}

    def byte(self, at):
        start = self.starts[at["line"] - 1]
        line = self.text[start : self.starts[at["line"]]].decode()
        return start + len(line[: at["column"] - 1].encode())

    def place(self, number, mutant):
        """Notes where a mutant goes; False if it can't be switched."""
        start, end = (self.byte(mutant["span"][key]) for key in ("start", "end"))
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        if constant(node):
            return False
        genre, replacement = mutant["genre"], mutant["replacement"]
        if genre == "FnValue":
            # Both values of an `impl Trait` would have to be of one type.
            if "impl " in mutant["function"]["return_type"]:
                return False
            self.before.setdefault(start, []).append((number, replacement))
            return True
        if genre in ("BinaryOperator", "UnaryOperator"):
            parent = node.parent
            if parent.type not in ("binary_expression", "compound_assignment_expr", "unary_expression"):
                return False
            whole = self.text[parent.start_byte : start].decode() + replacement
            whole += " " + self.text[end : parent.end_byte].decode()
            self.wraps.setdefault(parent.id, []).append((number, whole))
            return True
        while node is not None and node.type not in ("match_arm", "match_pattern"):
            node = node.parent
        if node is None or b" let " in self.text[node.start_byte : node.end_byte].split(b"=>")[0]:
            return False
        if genre == "MatchArm":
            pattern = node.child_by_field_name("pattern") if node.type == "match_arm" else node
            self.arms.setdefault(pattern.id, []).append(number)
            return True
        if genre == "MatchArmGuard":
            condition = node.child_by_field_name("condition")
            if condition is None:
                return False
            self.guards.setdefault(condition.id, []).append((number, replacement))
            return True
        return False

    def render(self, node, off):
        parts, at = [], node.start_byte
        for child in node.children:
            parts.append(self.text[at : child.start_byte].decode())
            # An expression and its statement start at one place.
            if node.type == "block":
                for number, value in self.before.get(child.start_byte, []):
                    if number not in off:
                        parts.append(f"/*<{number}*/if crate::mutant({number}) {{ return {value}; }}/*>*/ ")
            parts.append(self.render(child, off))
            at = child.end_byte
        parts.append(self.text[at : node.end_byte].decode())
        return self.switch(node, "".join(parts), off)

    def switch(self, node, text, off):
        for number in self.arms.get(node.id, []):
            if number not in off:
                has = node.child_by_field_name("condition") is not None
                text = f"{text} {'&&' if has else 'if'} /*<{number}*/!crate::mutant({number})/*>*/"
        for number, value in self.guards.get(node.id, []):
            if number not in off:
                on = f"/*<{number}*/crate::mutant({number})/*>*/"
                text = f"({on} || ({text}))" if value == "true" else f"(!{on} && ({text}))"
        live = [each for each in self.wraps.get(node.id, []) if each[0] not in off]
        for number, whole in live:
            text = f"/*<{number}*/(if crate::mutant({number}) {{ {whole} }} else {{ {text} }})/*>*/"
        return text


def constant(node):
    while node is not None:
        if node.type in CONSTANT:
            return True
        if node.type == "function_item":
            return any(c.type == "function_modifiers" and b"const" in c.text for c in node.children)
        node = node.parent
    return False


def culprit(text, at):
    """The innermost mutant around a place of a written file."""
    stack = []
    for mark in re.finditer(rb"/\*(<(\d+)|>)\*/", text):
        if mark.start() >= at:
            break
        if mark.group(2):
            stack.append(int(mark.group(2)))
        elif stack:
            stack.pop()
    return stack[-1] if stack else None


def check(copy):
    """Errors of `cargo build`: file and place."""
    command = ["cargo", "build", "--lib", "--locked", "--message-format", "json", "-q"]
    out = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        message = json.loads(line).get("message") or {}
        if message.get("level") == "error":
            if not message["spans"]:
                print(message["message"])
            for span in message["spans"]:
                yield span["file_name"], span["byte_start"], span["is_primary"], message["message"]


def write(listed, copy):
    files = {}
    for number, mutant in enumerate(listed):
        files.setdefault(mutant["file"], []).append((number, mutant))
    sources = {file: Source(copy / file, mutants) for file, mutants in files.items()}
    lost = set().union(*(source.out_of_reach for source in sources.values()))
    off, unviable = set(lost), set()
    lib = copy / "src/lib.rs"
    lib.write_text(lib.read_text() + SWITCH)
    while True:
        for file, source in sources.items():
            (copy / file).write_text(source.render(source.tree.root_node, off))
        bad = set()
        for file, at, primary, message in check(copy):
            found = culprit((copy / file).read_bytes(), at + 1) if file in sources else None
            if found is not None:
                bad.add(found)
            elif primary and "non-exhaustive" in message:
                text = (copy / file).read_bytes()
                bad.add(int(re.search(rb"if /\*<(\d+)\*/!", text[at:]).group(1)))
            elif primary:
                print(f"{file}:{at}: {message}")
        if not bad - off:
            break
        print(f"{len(bad)} do not compile")
        unviable |= bad
        off |= bad
    state = {"unviable": sorted(unviable), "not_switched": sorted(lost)}
    (copy / "mutants.json").write_text(json.dumps(state))
    print(len(listed), {key: len(value) for key, value in state.items()})


def run(listed, copy, out, stages):
    """Each mutant by each stage in turn until one fails."""
    state = json.loads((copy / "mutants.json").read_text())
    skip = set(state["unviable"]) | set(state["not_switched"])
    only, done = None, set()
    if "ONLY" in os.environ:
        rows = map(json.loads, Path(os.environ["ONLY"]).read_text().splitlines())
        only = {row["number"] for row in rows if row["outcome"] == "missed"}
    if out.exists():
        done = {json.loads(line)["number"] for line in out.read_text().splitlines()}
    with out.open("a") as results:
        # Shuffled, so that a run that is stopped has tried a sample.
        order = list(enumerate(listed))
        random.Random(1).shuffle(order)
        part, parts = (int(each) for each in os.environ.get("PART", "0/1").split("/"))
        for number, mutant in order[part::parts]:
            if number in skip or number in done or only is not None and number not in only:
                continue
            outcome, stage, started = "missed", None, time.time()
            for stage, command in enumerate(stages):
                outcome = one(command, copy, number, mutant["file"])
                if outcome != "missed":
                    break
            seconds = round(time.time() - started, 1)
            row = dict(number=number, name=mutant["name"], outcome=outcome, stage=stage, seconds=seconds)
            results.write(json.dumps(row) + "\n")
            results.flush()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    print(Counter((row["name"].split("/")[1], row["outcome"]) for row in rows))


def one(command, copy, number, file):
    env = dict(os.environ, VMLEAK_MUTANT=str(number), MUTANT_FILE=file)
    child = subprocess.Popen(
        ["sh", "-c", command], cwd=copy, env=env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        return "missed" if child.wait(timeout=float(os.environ.get("SECONDS_EACH", "60"))) == 0 else "caught"
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        child.wait()
        return "timeout"


def main():
    what, listed, copy = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    if what == "write":
        write(listed, copy.resolve())
    else:
        run(listed, copy.resolve(), Path(sys.argv[4]), sys.argv[6:])


if __name__ == "__main__":
    main()
