"""The processes that the lane starts: each in a session of its own with a log, ended by its process id, also when the
lane itself is killed."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess

from .failure import Failure

# Seconds from the request to end until a process is killed. The API server closes its connections first.
GRACE = 20
TAIL = 25
# Below the range that the kernel gives to outgoing connections, so that none takes a port between choice and use.
PORTS = range(20000, 30000)
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def environment(home):
    """The variables that programs get: no proxy, no configuration of the caller's, and nothing is written outside `home`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "GODEBUG") if name in os.environ}
    return kept | {"HOME": str(home), "TMPDIR": str(home), "KUBECONFIG": str(home / "admin.kubeconfig")}


def _end_with_parent():
    """In the child: it is told to end when the lane is gone, however that happened."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Ports:
    """Free ports of the loopback address, none given twice."""

    def __init__(self):
        self.given = set()

    def next(self):
        """A port that nothing has at the moment, at random, so that several runs do not meet."""
        for port in random.sample(PORTS, 200):
            if port in self.given:
                continue
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                self.given.add(port)
                return port
        raise Failure(f"none of 200 ports from {PORTS[0]} to {PORTS[-1]} is free")


class Process:
    """A program that runs beside the lane."""

    def __init__(self, name, command, folder, variables):
        self.name, self.log_path, self.stopped = name, folder / f"{name}.log", False
        with self.log_path.open("ab") as log:
            self.child = subprocess.Popen(
                [str(part) for part in command], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    def tail(self, lines=TAIL):
        """The end of its log."""
        text = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(line[:400] for line in text[-lines:])

    def check(self):
        """Fails when it ended by itself."""
        if not self.stopped and self.child.poll() is not None:
            raise Failure(f"{self.name} ended by itself with {self.child.returncode}; the end of its log:\n{self.tail()}")

    def stop(self):
        """Asks it to end, waits, and kills it where that does not help."""
        self.stopped = True
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Processes:
    """All of them, ended in the reverse order of their start."""

    def __init__(self, folder, variables):
        self.folder, self.variables, self.running = folder, variables, []

    def spawn(self, name, command, variables=None):
        """Starts one; its log is `<name>.log` in the folder of logs."""
        if any(it.name == name for it in self.running):
            raise Failure(f"two processes are named {name}, and would share a log")
        process = Process(name, command, self.folder, self.variables | (variables or {}))
        self.running.append(process)
        return process

    def stop_one(self, process):
        """Ends one before the others, so that its name can be used again."""
        process.stop()
        self.running.remove(process)

    def check(self):
        """Fails when one has ended by itself: what waits for it would wait in vain."""
        for process in self.running:
            process.check()

    def stop(self):
        """Ends all of them."""
        for process in reversed(self.running):
            process.stop()
        self.running.clear()

    def tails(self):
        """The end of each log, for a report."""
        return "\n".join(f"--- {process.name}\n{process.tail()}" for process in self.running)
