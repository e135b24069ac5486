"""What a command answers."""

from __future__ import annotations

import json
from typing import Any, Iterator, Optional, Union

from . import _vmleak

Option = Union[None, bool, int, str, "list[str]", "tuple[str, ...]"]

#: Where the rows of a document are: the first of these that it has. What has lines of JSON on the
#: command line has the same rows there.
ROWS = {
    "conntrack": ("entries", "expectations", "stats"),
    "files": ("files",),
    "kmemleak": ("unreferenced",),
    "leaks": ("findings",),
    "log": ("records", "oom"),
    "nat": ("translations",),
    "objects": ("objects", "sites"),
    "ps": ("processes",),
    "slabs": ("caches",),
    "sockets": ("sockets",),
    "sysctl": ("sysctls", "checks"),
    "vmalloc": ("areas",),
    "allocinfo": ("sites",),
    "memcg": ("memcgs",),
    "modules": ("modules",),
    "pageowner": ("sites",),
    "net": ("namespaces",),
    "meminfo": ("meminfo",),
    "pages": ("owned",),
    "bpf": ("maps",),
    "rules": ("namespaces",),
    "zones": ("nodes",),
    "retained": ("owners",),
    "whatis": ("referrers",),
}

#: Their lines of JSON are other rows than theirs here, or there are none.
_OTHER_LINES = frozenset(
    ["leaks", "meminfo", "pages", "bpf", "rules", "zones", "retained", "whatis", "info", "report"]
)

#: What says in each row of a table which dump it is of.
_IDENTITY = (("dump_id", "id"), ("host", "host"), ("release", "release"), ("crash_time", "crash_time"))


class Result:
    """The answer of one command: asked when it is first looked at, and then kept.

    `result.document` is the JSON document of the command line as a dict and `result["caches"]` a
    part of it; iteration gives its rows; `result.text()` is what the command prints. Arrow takes
    it for a table (`pyarrow.table(result)`, `polars.DataFrame(result)`; DuckDB finds it by its
    name in a query), in which each row begins with dump_id, host, release and crash_time.
    """

    def __init__(self, native: _vmleak.Dump, command: str, words: list[str]) -> None:
        self._native = native
        self._command = command
        self._words = words
        self._document: Optional[dict[str, Any]] = None

    def _in(self, form: str) -> list[str]:
        command, *others = self._words
        return [command, f"--format={form}", *others]

    @property
    def document(self) -> dict[str, Any]:
        """What `--format json` prints, as a dict."""
        if self._document is None:
            self._document = json.loads(self._native.ask(self._in("json"), None)[0])
        return self._document

    @property
    def complete(self) -> bool:
        """Whether nothing was missing that the command needed."""
        return bool(self.document["complete"])

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What to know besides the result."""
        return list(self.document["warnings"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows: caches, findings, connections …"""
        document = self.document
        for key in ROWS.get(self._command, ()):
            if key in document:
                return list(document[key])
        return []

    def text(self, format: Optional[str] = None, *, columns: Optional[int] = None) -> str:
        """What the command prints: for people, laid out for `columns`, or in a `format` of its own
        (slabinfo, proc, conntrack, nft …)."""
        words = self._words if format is None else self._in(format)
        return self._native.ask(words, columns)[0].decode()

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<vmleak.Result of {' '.join(self._words)!r}>"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows by the Arrow C stream interface."""
        if self._command not in _OTHER_LINES:
            return self._native.arrow(self._in("jsonl"))
        dump = self.document["dump"]
        whose = {column: dump[name] for column, name in _IDENTITY}
        lines = (json.dumps({**whose, **row}) + "\n" for row in self.rows)
        return _vmleak.arrow_of_lines("".join(lines).encode())


def words(command: str, places: list[Option], options: dict[str, Option]) -> list[str]:
    """A command in words, as on the command line. Values stand behind an equals sign, so that none
    is taken for an option."""
    said: list[str] = []
    for name, value in options.items():
        option = "--" + name.rstrip("_").replace("_", "-")
        if value is True:
            said.append(option)
        elif isinstance(value, (list, tuple)):
            said.extend(f"{option}={one}" for one in value)
        elif value is not None and value is not False:
            said.append(f"{option}={value}")
    placed = [str(place) for place in places if place is not None]
    return [command, *said, *(["--", *placed] if placed else [])]
