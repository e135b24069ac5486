"""A guest in QEMU that is booted once, and set back to that state for each incident."""

import json
import os
import shlex
import socket
import subprocess
import time

SNAPSHOT = "booted"


class Trouble(Exception):
    """The guest or QEMU did not do what was asked of it."""


class Lines:
    """What comes in over a socket, line by line."""

    def __init__(self, path, seconds=30):
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() > end:
                    raise Trouble(f"no connection to {path}: {error}") from error
                time.sleep(0.1)
        self.rest = b""

    def send(self, text):
        """Sends a line."""
        self.socket.sendall(text.encode() + b"\n")

    def next(self, seconds):
        """The next line, or None if none comes in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not more:
                raise Trouble("QEMU has ended")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def wait_for(self, start, seconds):
        """The next line that begins so."""
        end = time.monotonic() + seconds
        while True:
            line = self.next(max(0, end - time.monotonic()))
            if line is None:
                raise Trouble(f"no line {start!r} within {seconds} s")
            if line.startswith(start):
                return line

    def forget(self):
        """Leaves out what came up to now."""
        while self.next(0.05) is not None:
            pass
        self.rest = b""


class Machine:
    """One kernel, booted with more on its command line and more arguments of QEMU.

    The overlay over the file system's image, which holds the snapshot too, is a temporary
    file of QEMU's own: it goes with the process, and no qemu-img is needed to make it.
    """

    def __init__(self, built, directory, append="", qemu="", memory="768M", cpus="2"):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.log = os.path.join(directory, "console.log")
        paths = {name: os.path.join(directory, name) for name in ("qmp", "wire")}
        for path in paths.values():
            if os.path.exists(path):
                os.unlink(path)
        open(self.log, "wb").close()
        command = [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
            "-cpu", "max,la57=off", "-m", memory, "-smp", cpus,
            "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", f"{built}/vmlinuz", "-initrd", f"{built}/initrd",
            "-append", f"console=ttyS0 mitigations=off no_timer_check {append}",
            "-drive", f"file={built}/data,format=raw,if=none,id=data,snapshot=on",
            "-device", "virtio-blk-pci,drive=data", "-device", "vmcoreinfo",
            "-chardev", f"file,id=console,path={self.log},append=on", "-serial", "chardev:console",
            "-serial", f"unix:{paths['wire']},server=on,wait=off",
            "-qmp", f"unix:{paths['qmp']},server=on,wait=off",
            *shlex.split(qemu),
        ]
        environment = dict(os.environ, TMPDIR=directory)
        with open(os.path.join(directory, "qemu.log"), "wb") as errors:
            self.process = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors)
        self.qmp = Lines(paths["qmp"])
        self.wire = Lines(paths["wire"])
        self.ask("qmp_capabilities")

    def boot(self, seconds=1800):
        """Waits until the guest takes commands, and remembers that state."""
        end = time.monotonic() + seconds
        while self.wire.next(5) != "READY":
            with open(self.log, "rb") as log:
                if b"end Kernel panic" in log.read() or time.monotonic() > end:
                    raise Trouble("it does not boot")
        self.monitor(f"savevm {SNAPSHOT}")

    def ask(self, command, seconds=300, **arguments):
        """What QMP answers."""
        self.qmp.send(json.dumps({"execute": command, "arguments": arguments}))
        end = time.monotonic() + seconds
        while True:
            line = self.qmp.next(max(0, end - time.monotonic()))
            if line is None:
                raise Trouble(f"no answer to {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise Trouble(f"{command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        """A command of the monitor for people; it answers only if something is wrong."""
        answer = self.ask("human-monitor-command", **{"command-line": line})
        if answer.strip():
            raise Trouble(f"{line}: {answer.strip()}")

    def back(self):
        """To the state after the boot."""
        self.ask("stop")
        self.monitor(f"loadvm {SNAPSHOT}")
        self.wire.forget()
        self.ask("cont")

    def plant(self, kind, seed, seconds):
        """Plants an incident and gives the truth that the guest tells of it."""
        self.wire.send(f"plant {kind} {seed}")
        line = self.wire.wait_for("TRUTH ", seconds)
        try:
            truth = json.loads(line.removeprefix("TRUTH "))
        except ValueError as error:
            raise Trouble(f"no truth: {line!r}") from error
        if truth.get("failed"):
            raise Trouble(f"not planted: {line!r}")
        return truth

    def panic(self, seconds=300):
        """Lets the guest die, and waits for its last word."""
        with open(self.log, "rb") as log:
            log.seek(0, os.SEEK_END)
            self.wire.send("panic 0 0")
            end = time.monotonic() + seconds
            seen = b""
            while b"end Kernel panic" not in seen:
                if time.monotonic() > end:
                    raise Trouble("it does not panic")
                time.sleep(0.1)
                seen += log.read()

    def dump(self, path):
        """All of its memory, as ELF with VMCOREINFO."""
        self.ask("stop")
        self.ask("dump-guest-memory", paging=False, protocol=f"file:{path}")

    def close(self):
        """Ends QEMU."""
        self.process.kill()
        self.process.wait()
