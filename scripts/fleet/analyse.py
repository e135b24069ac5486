"""One dump of a fleet: `vmleak export` within bounds of memory and time, its tables put where all the
others lie, and what came of it written into the ledger.

A table of a dump is a file OUT/tables/TABLE/month=YYYY-MM/KEY.parquet; KEY is made of the dump's path,
size and time, so that what is done twice is there once. The ledger OUT/ledger/KEY.json is written
last: what it says is done. Nothing here raises for what is wrong with one dump.
"""

import dataclasses
import hashlib
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

#: Exit statuses of vmleak with which there are tables: all was there, something was missing.
ANALYSED = (0, 4)

#: Of these it is not worth trying again: the dump is no dump, or its types are not to be had.
FINAL = (2, 3)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How dumps are looked at."""

    out: str
    vmleak: str = "vmleak"
    options: tuple = ()
    #: Bytes of address space of a process.
    memory: int = 4 << 30
    seconds: int = 1800
    attempts: int = 2


def key_of(dump: str) -> str:
    """Names a dump before it is opened."""
    stat = os.stat(dump)
    what = f"{os.path.abspath(dump)}\0{stat.st_size}\0{stat.st_mtime_ns}"
    return hashlib.sha256(what.encode()).hexdigest()[:24]


def entry_path(out: str, key: str) -> Path:
    return Path(out) / "ledger" / f"{key}.json"


def was_analysed(settings: Settings, dump: str) -> bool:
    """Whether there are tables of it, whole or in part."""
    try:
        return json.loads(entry_path(settings.out, key_of(dump)).read_text())["state"] != "failed"
    except (OSError, ValueError):
        return False


def is_done(settings: Settings, dump: str, again: bool = False) -> bool:
    """Whether the ledger has it, well or as what can't be helped; with `again` only well."""
    try:
        entry = json.loads(entry_path(settings.out, key_of(dump)).read_text())
    except (OSError, ValueError):
        return False
    return entry["state"] != "failed" or (entry["final"] and not again)


def analyse(settings: Settings, dump: str) -> dict:
    """Looks at a dump; what is said of it is in the ledger, too."""
    began = time.time()
    entry = {"dump": os.path.abspath(dump), "state": "failed", "final": False, "attempts": 0}
    try:
        entry["key"] = key = key_of(dump)
        _try(settings, dump, key, entry)
    except Exception as error:  # noqa: BLE001 - one bad dump stops no other
        entry.setdefault("reason", f"{type(error).__name__}: {error}")
    entry["seconds"] = round(time.time() - began, 3)
    if "key" in entry:
        _write(entry_path(settings.out, entry["key"]), json.dumps(entry).encode())
    return entry


def _try(settings: Settings, dump: str, key: str, entry: dict) -> None:
    scratch = Path(settings.out) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    while entry["attempts"] < settings.attempts:
        entry["attempts"] += 1
        rows = Path(tempfile.mkdtemp(prefix=key + "-", dir=scratch))
        try:
            code, said = _run(settings, dump, rows)
            if code in ANALYSED:
                entry["tables"] = _publish(settings, rows, key)
                entry["state"] = "analysed" if code == 0 else "partial"
                entry.pop("reason", None)
                return
            entry["reason"] = said
            if code in FINAL:
                entry["final"] = True
                return
        finally:
            shutil.rmtree(rows, ignore_errors=True)
    # It was tried as often as it may be.
    entry["final"] = True


def _run(settings: Settings, dump: str, rows: Path):
    words = [settings.vmleak, "export", dump, *settings.options, "-o", str(rows / "out"), "--format", "parquet"]
    # Decoded pages have a quarter; dumps are read and not mapped, so that the bound is one of memory.
    words += ["--max-memory", str(settings.memory // 4), "--no-mmap", "--no-progress", "--quiet"]

    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (settings.memory, settings.memory))

    try:
        done = subprocess.run(
            words, preexec_fn=bound, timeout=settings.seconds, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"took more than {settings.seconds} seconds"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return done.returncode, said[-1][:500] if said else f"ended with {done.returncode}"


def _publish(settings: Settings, rows: Path, key: str) -> list:
    """Moves the tables to the others, each by one rename."""
    import pyarrow.parquet as parquet

    files = sorted((rows / "out").glob("*.parquet"))
    month = "unknown"
    for file in files:
        if file.stem == "dumps":
            crashed = parquet.read_table(file, columns=["crash_time"])["crash_time"][0].as_py()
            month = str(crashed)[:7] if crashed else month
    for file in files:
        folder = Path(settings.out) / "tables" / file.stem / f"month={month}"
        folder.mkdir(parents=True, exist_ok=True)
        os.replace(file, folder / f"{key}.parquet")
    return [file.stem for file in files]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    os.replace(part, path)
