"""The programs that the lane runs, each provided by its script under scripts/tools/ when it is first asked for, so that a
scenario alone does not build what only others need."""

import subprocess
from functools import cache
from pathlib import Path

from .failure import Failure

SCRIPTS = Path("scripts/tools")
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")


@cache
def _provided(*command):
    """What a script prints: the path of what it provides. It says on stderr what it does meanwhile."""
    done = subprocess.run([str(SCRIPTS / command[0]), *command[1:]], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(command)} under {SCRIPTS} could not provide its program (the reason is above)")
    return Path(done.stdout.strip())


def program(name):
    """The path of a program: of the control plane, of a script of its own, or out of a Go module."""
    if name in CONTROL_PLANE:
        return _provided("kubernetes.sh") / "bin" / name
    if (SCRIPTS / f"{name}.sh").exists():
        return _provided(f"{name}.sh")
    return _provided("program.sh", name)


def stages():
    """The files that tell kwok how nodes and pods come to life."""
    return sorted((_provided("kubernetes.sh") / "stages").glob("*.yaml"))


def crds(name):
    """The files with the definitions of foreign kinds: of a whole project (`keda`), or of some of it (`keda/keda.sh_*`)."""
    project, _, pattern = name.partition("/")
    folder = _provided("crds.sh")
    files = sorted((folder / project).glob(f"{pattern or '*'}.yaml"))
    if not files:
        there = ", ".join(sorted(it.name for it in folder.iterdir()))
        raise Failure(f"there are no definitions '{name}'; there are projects: {there}")
    return files
