"""Documents and rows against those of the command line, on the small dump: equal.py VMLEAK"""

import json
import subprocess
import sys
import threading
import time

import polars
import pyarrow

import vmleak

FILES = ["corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux"]
dump = vmleak.open(*FILES)


def told(*words):
    done = subprocess.run([sys.argv[1], *words, *FILES, "-q", "--no-progress"], stdout=subprocess.PIPE)
    return done.stdout


compared = 0
for name, result in {
    "info": dump.info(), "slabs": dump.slabs(), "leaks": dump.leaks(), "conntrack": dump.conntrack(),
    "nat": dump.nat(), "ps": dump.ps(), "files": dump.files(), "sockets": dump.sockets(), "rules": dump.rules(),
    "meminfo": dump.meminfo(), "log": dump.log(), "pages": dump.pages(), "modules": dump.modules(),
    "vmalloc": dump.vmalloc(), "memcg": dump.memcg(), "zones": dump.zones(), "retained": dump.retained(),
    "net": dump.net(), "bpf": dump.bpf(), "kmemleak": dump.kmemleak(), "allocinfo": dump.allocinfo(),
    "pageowner": dump.pageowner(),
}.items():
    line = told(name, "--format", "json")
    try:
        document = result.document
    except vmleak.Error as why:
        assert not line, f"{name}: {why}"
        continue
    assert document == json.loads(line), name
    assert result.text() == told(name).decode(), name
    table = pyarrow.table(result)
    assert table.num_rows == len(result), f"{name}: {table.num_rows} rows, {len(result)} in the document"
    if len(result):
        assert table.column_names[:4] == ["dump_id", "host", "release", "crash_time"], name
    compared += 1
assert compared >= 14, compared
assert dump.sysctl("net.netfilter", check=False).document == json.loads(told("sysctl", "net.netfilter", "--format", "json"))
traced = dump.objects("leaky_session", state="allocated", limit=5)
line = told("objects", "leaky_session", "--state", "allocated", "--limit", "5", "--format", "json")
assert traced.document == json.loads(line)
frame = polars.DataFrame(dump.conntrack())
assert frame.height == 571 and frame["address"].n_unique() == 571
address = int(traced.rows[0]["address"], 16)
assert dump.whatis(address)["object"]["cache"] == "leaky_session"
assert dump.conntrack(summary=True)["summary"]

for wrong, error in [
    (lambda: vmleak.open("/nowhere"), vmleak.OpenError),
    (lambda: vmleak.open(FILES[0], types="no-such"), vmleak.UsageError),
    (lambda: dump.objects("no-such").document, vmleak.UsageError),
    (lambda: dump.objects("--output=/tmp/x").document, vmleak.UsageError),
    (lambda: dump.command("slabs", output="/tmp/x").document, vmleak.UsageError),
    (lambda: dump.command("diff").document, vmleak.UsageError),
    (lambda: dump.kmemleak().document, vmleak.UnsupportedError),
]:
    try:
        wrong()
    except error as why:
        assert isinstance(why, vmleak.Error) and str(why)
    else:
        raise AssertionError(f"no {error}")

# The GIL is free while a dump is read: another thread counts on meanwhile.
turns, done = 0, threading.Event()
search = threading.Thread(target=lambda: (dump.leaks().document, done.set()))
search.start()
while not done.is_set():
    time.sleep(0.001)
    turns += 1
search.join()
assert turns > 3, turns
print(f"{compared} documents equal; {turns} turns of another thread during a search")
