#!/usr/bin/env python3
"""Checks from outside how a container's first process is confined. Needs root.

    process.py PID UID GID [FOLDER_MOUNTED...]

Its user and group, no capability, no new privileges, and a root where not even root can write. Folders that
were mounted on purpose are named, so that the rest of the mounts can be looked at.
"""

import errno
import os
import pathlib
import sys

NO_CAPABILITIES = "0000000000000000"
PLACES = ("/", "/tmp", "/etc", "/models", "/usr/local/bin", "/usr/local/lib")
# Files that an engine mounts into containers, as root's.
ENGINES = {f"/etc/{name}" for name in ("group", "hosts", "hostname", "passwd", "resolv.conf")} | {"/run/.containerenv"}
KERNEL = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs"}


def status_of(pid: str) -> dict[str, list[str]]:
    """The fields of /proc/PID/status."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def identity_faults(pid: str, uid: str, gid: str) -> list[str]:
    """What is wrong with who the process is and may do."""
    status = status_of(pid)
    expected = {"Uid": [uid] * 4, "Gid": [gid] * 4, "NoNewPrivs": ["1"]}
    expected |= {name: [NO_CAPABILITIES] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    faults = [f"{name} is {status[name]}, not {value}" for name, value in expected.items() if status[name] != value]
    if set(status["Groups"]) - {gid}:
        faults.append(f"it is in the groups {status['Groups']}")
    return faults


def write_faults(pid: str) -> list[str]:
    """Places of the container's own view where a file can be made."""
    faults = []
    for place in PLACES:
        path = f"/proc/{pid}/root{place.rstrip('/')}/.write-attempt"
        if not os.path.isdir(os.path.dirname(path)):
            continue
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        except OSError as error:
            if error.errno != errno.EROFS:
                faults.append(f"writing to {place} is refused by '{error.strerror}', not by a read-only file system")
        else:
            os.unlink(path)
            faults.append(f"a file can be made in {place}")
    return faults


def mount_faults(pid: str, own: set[str]) -> list[str]:
    """File systems that can be written, the kernel's own aside."""
    faults = []
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        place, options, kind = left.split()[4], left.split()[5].split(","), right.split()[0]
        if place in ENGINES or kind in KERNEL and place.startswith(("/proc", "/sys", "/dev")):
            continue
        if "ro" not in options:
            faults.append(f"{place} ({kind}) is mounted writable")
        elif place != "/" and place not in own and not place.startswith(("/proc/", "/sys/")):
            faults.append(f"{place} ({kind}) is mounted, which nobody asked for")
    return faults


def main() -> None:
    """Print the faults."""
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    pid, uid, gid, *own = sys.argv[1:]
    faults = identity_faults(pid, uid, gid) + write_faults(pid) + mount_faults(pid, set(own))
    for fault in faults:
        print(f"FAULT: the process: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"process: user {uid}:{gid}, no capability, its root is read-only")


if __name__ == "__main__":
    main()
