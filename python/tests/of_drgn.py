"""vmleak.drgn and drgn's command %vmleak on the debian-6.1 dump of VMLEAK_DUMPS: SKIPPED without it."""

import contextlib
import io
import os
import sys
from pathlib import Path

import drgn
from drgn.commands import DEFAULT_COMMAND_NAMESPACE, CommandNotFoundError  # noqa: F401
from drgn.helpers.linux.slab import slab_object_info

import vmleak
import vmleak.drgn

dumps = os.environ.get("VMLEAK_DUMPS", "../shared/vmcores").split(os.pathsep)
cores = [Path(folder) / "debian-6.1/vmcore.zstd" for folder in dumps]
kernels = sorted((Path.home() / ".cache/vmleak/debug/boot").glob("vmlinux-6.1.*"))
core = next((core for core in cores if core.exists()), None)
if core is None or not kernels:
    sys.exit(print("SKIPPED: no debian-6.1 dump, or no vmlinux of it"))
prog = drgn.Program()
prog.set_core_dump(str(core))
prog.load_debug_info([str(kernels[0])])

# Each task that vmleak lists is one of drgn's, by its own walk.
from drgn.helpers.linux.pid import for_each_task  # noqa: E402

tasks = {task.value_() for task in for_each_task(prog)}
mine = list(vmleak.drgn.tasks(prog))
assert mine and all(task.type_.type_name() == "struct task_struct *" for task in mine)
assert {task.value_() for task in mine} <= tasks, "a process that drgn does not have"
assert mine[0].comm.string_()
# An address in the middle of an object leads to its beginning, as drgn says too.
inside = mine[0].value_() + 16
found = vmleak.drgn.whatis(prog, inside)
assert found.value_() == slab_object_info(prog, inside).address
assert found.type_.type_name() == "struct task_struct *", found.type_

found = vmleak.drgn.leaks(prog)
for leak in found:
    for one in leak.objects[:20]:
        info = slab_object_info(prog, one.value_())
        assert info is None or info.allocated, (leak.finding["subject"], one)
print("findings:", [(leak.finding["subject"], len(leak.objects)) for leak in found])

from _drgn_util.plugins import call_plugins  # noqa: E402

call_plugins("drgn_prog_set", prog)
out = io.StringIO()
with contextlib.redirect_stdout(out):
    DEFAULT_COMMAND_NAMESPACE.run(prog, "vmleak slabs --cache task_struct", globals={})
assert "task_struct" in out.getvalue() and "objects" in out.getvalue(), out.getvalue()
print("ok: drgn")
