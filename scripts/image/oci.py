#!/usr/bin/env python3
"""Writes the OCI runtime's config.json of one run of an image, as docker would with --read-only --cap-drop ALL.

    oci.py [--user UID:GID] [--env NAME=VALUE] [--mount FROM:TO]... [--entrypoint PROGRAM] -- IMAGE_CONFIG.json ROOT BUNDLE [ARGUMENT]...

Entrypoint, command, variables and user are the image's own (docker's configuration, as in its archive) unless
the options say otherwise. Nothing is writable but /dev and /proc; there is no /tmp of its own.
"""

import argparse
import json
import pathlib

NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
CAPABILITY_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "nodev", "mode=1777", "size=64m"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
]
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image_config")
    parser.add_argument("root")
    parser.add_argument("bundle")
    parser.add_argument("--user", help="UID:GID instead of the image's")
    parser.add_argument("--mount", action="append", default=[], help="FROM:TO, read-only")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE beside the image's own")
    parser.add_argument("--entrypoint", help="a program instead of the image's entrypoint and command")
    parser.add_argument("arguments", nargs="*", help="instead of the image's command")
    return parser.parse_args()


def bind(text: str) -> dict:
    """A read-only bind mount."""
    source, destination = text.split(":")
    return {"destination": destination, "type": "bind", "source": source, "options": ["rbind", "ro", "nosuid", "nodev"]}


def main() -> None:
    """Write the file."""
    options = parse()
    image = json.loads(pathlib.Path(options.image_config).read_text(encoding="utf-8"))
    uid, gid = (int(part) for part in (options.user or image["User"]).split(":"))
    entrypoint = [options.entrypoint] if options.entrypoint else image["Entrypoint"]
    command = options.arguments or ([] if options.entrypoint else image["Cmd"])
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": entrypoint + command,
            "env": (image.get("Env") or []) + options.env,
            "cwd": image.get("WorkingDir") or "/",
            "capabilities": {name: [] for name in CAPABILITY_SETS},
            "noNewPrivileges": True,
        },
        "root": {"path": options.root, "readonly": True},
        "hostname": "image",
        "mounts": MOUNTS + [bind(mount) for mount in options.mount],
        "linux": {
            "namespaces": [{"type": name} for name in NAMESPACES],
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    }
    bundle = pathlib.Path(options.bundle)
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
