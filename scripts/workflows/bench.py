"""A folder with a copy of what the steps' scripts need, as a git repository of its own with a remote, and programs that stand in
for gh, docker and the like: what they are called with is kept. Used by the proofs."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from files import ROOT

COPIED = (
    "scripts/lib", "scripts/tools", "scripts/delivery", "scripts/release", "scripts/models/venv.sh", "helm", "Dockerfile", "pipelines/Dockerfile",
    "LICENSE",
)  # fmt: skip
ENVIRONMENTS = "deploy/gitops/environments"
IMAGE = "ghcr.io/myorg/ml-inference-api"
OLD, NEW, NEWER = (f"sha256:{it * 64}" for it in "abc")
PERSON = ("-c", "user.name=Proof", "-c", "user.email=proof@example.com")


class Wrong(Exception):
    """What was seen is not what was wanted."""


def expect(condition, sentence, seen=""):
    """Ends the proof where something is not so."""
    if not condition:
        raise Wrong(f"{sentence}\n{seen}".rstrip())


class Bench:
    """Exists while the block goes on."""

    def __enter__(self):
        self.holder = tempfile.TemporaryDirectory()
        base = pathlib.Path(self.holder.name)
        self.root, self.bin, self.calls, self.remote = base / "work", base / "bin", base / "calls", base / "remote.git"
        self.root.mkdir()
        self.bin.mkdir()
        for path in COPIED:
            source, dest = ROOT / path, self.root / path
            dest.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, dest) if source.is_dir() else shutil.copy2(source, dest)
        for environment in ("staging", "production"):
            self.write(f"{ENVIRONMENTS}/{environment}/image.yaml", f"# Ours.\nimage:\n  digest: {OLD}\n")
            for name in ("values", "model"):
                self.write(f"{ENVIRONMENTS}/{environment}/{name}.yaml", "{}\n")
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.remote], check=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "all")
        self.git("remote", "add", "origin", str(self.remote))
        self.git("push", "--quiet", "origin", "main")
        return self

    def __exit__(self, *_):
        self.holder.cleanup()

    def write(self, path, text):
        """A file of the working tree."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def git(self, *arguments, of=None):
        """Runs git in the working tree, or asks the remote."""
        done = subprocess.run(["git", *PERSON, *arguments], cwd=of or self.root, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"git {' '.join(arguments)} failed", done.stderr)
        return done.stdout

    def stand_in(self, name, script=""):
        """A program of that name, which keeps its arguments, one call a line, and then does what the script says."""
        path = self.bin / name
        keep = f'{{ printf "%s" "{name}"; printf " %s" "${{@//$\'\\n\'/ }}"; echo; }} >>"{self.calls}"'
        path.write_text(f"#!/usr/bin/env bash\n{keep}\n{script}\n")
        path.chmod(0o755)

    def called(self):
        """The calls of stand-ins since the last time that this was asked."""
        text = self.calls.read_text(encoding="utf-8") if self.calls.exists() else ""
        self.calls.unlink(missing_ok=True)
        return text

    def run(self, *command, refused=None, **variables):
        """Runs a script of the copy, which must pass, or be refused in a sentence with a word; returns what it said."""
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "GITHUB_REPOSITORY": "myorg/ml-inference-api"}
        if "XDG_CACHE_HOME" in os.environ:
            env["XDG_CACHE_HOME"] = os.environ["XDG_CACHE_HOME"]
        done = subprocess.run([str(it) for it in command], cwd=self.root, env=env | variables, capture_output=True, text=True, check=False)
        said = f"{' '.join(str(it) for it in command)}:\n{done.stdout}{done.stderr}"
        if refused is None:
            expect(done.returncode == 0, "this was to pass:", said)
            return done.stdout
        expect(done.returncode != 0 and refused in done.stderr, f"this was to be refused with '{refused}':", said)
        return done.stderr
