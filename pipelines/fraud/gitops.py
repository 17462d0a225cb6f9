"""The values by which the chart serves a version, and the commit that puts them into a GitOps repository."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from .command import StepError
from .files import write

ENVIRONMENT = "deploy/gitops/environments/{}/model.yaml"
PUSHES = 5
# What git says where somebody else pushed in between; a branch that is protected says otherwise, and stays so.
MOVED = ("[rejected]", "cannot lock ref")
AUTHOR = ("model-deployer", "model-deployer@users.noreply.github.com")
# The token is read by git out of the file, each time that it asks: it is in no command line, address or variable.
HELPER = '!f() { test "$1" = get && echo username=x-access-token && echo "password=$(cat "$GIT_TOKEN_FILE")"; }; f'

VALUES = """\
# Written by pipelines/deploy.py, and by nobody else: which version is served, and the digest of its manifest.
model: {{name: "{model}"}}
models:
  source: init
  init:
    image: {image}
    command: [python, /app/fetch_model.py]
    args: [--model, "{model}", --version, "{version}", --sha256, "{pin}", --out, /models]
    env: [{{name: MLFLOW_TRACKING_URI, value: "{uri}"}}]
"""


def values(model, version, pin, image, uri):
    """The text of model.yaml."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}", image):
        raise StepError(f"--image is {image or 'empty'}: expected an image by digest, as ghcr.io/myorg/model-deployer@sha256:...")
    if not re.fullmatch(r"https?://[A-Za-z0-9._:/-]+", uri):
        raise StepError(f"the pods' tracking address is {uri}: expected http:// or https:// without credentials")
    return VALUES.format(model=model, version=version, pin=pin, image=image, uri=uri)


class Repository:
    """A clone, in a folder of its own, of one branch of a repository."""

    def __init__(self, address, branch, base, token_file):
        self.address, self.branch, self.base = address, branch, base
        self.environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        self.options = []
        if address.startswith("https://"):
            if not token_file or not Path(token_file).is_file():
                raise StepError(f"{address} asks for a token: --token-file is {token_file or 'not given'}, expected a file that holds one")
            self.environment["GIT_TOKEN_FILE"] = str(Path(token_file).resolve())
            self.options = ["-c", "credential.helper=", "-c", f"credential.helper={HELPER}"]

    def _git(self, *arguments, may_fail=False):
        command = ["git", *self.options, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False)
        if done.returncode and not may_fail:
            raise StepError(f"git {arguments[0]} of {self.address} fails: {' '.join(done.stderr.split())[-400:]}")
        return done

    def _fetch(self, branch):
        """The commit of a branch as it is there now; None: there is no such branch."""
        there = self._git("ls-remote", "--exit-code", "--heads", "origin", f"refs/heads/{branch}", may_fail=True)
        if there.returncode == 2:
            return None
        if there.returncode:
            raise StepError(f"the repository {self.address} cannot be read: {' '.join(there.stderr.split())[-400:]}")
        self._git("fetch", "--quiet", "--depth", "1", "origin", f"refs/heads/{branch}")
        return self._git("rev-parse", "FETCH_HEAD").stdout.strip()

    def _holds(self, commit, path, text):
        """Whether a file has that text in a commit."""
        shown = self._git("show", f"{commit}:{path}", may_fail=True)
        return shown.returncode == 0 and shown.stdout == text

    def _commit(self, start, path, text, message):
        """One commit with the file, on top of another; HEAD is that."""
        self._git("checkout", "--quiet", "--force", "--detach", start)
        write(Path(self.folder, path), text)
        self._git("add", "--", path)
        name, mail = AUTHOR
        self._git("-c", f"user.name={name}", "-c", f"user.email={mail}", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD").stdout.strip()

    def put(self, path, text, message):
        """Commits a file and pushes; returns the commit, or None where it is so already. A branch other than the base is a
        proposal: one commit on top of the base, made anew each time, and taken back where the base has the file as it is."""
        with tempfile.TemporaryDirectory() as folder:
            self.folder = folder
            self._git("init", "--quiet", "--initial-branch", "work")
            self._git("remote", "add", "origin", self.address)
            return (self._push if self.branch == self.base else self._propose)(path, text, message)

    def _propose(self, path, text, message):
        base, there = self._fetch(self.base), self._fetch(self.branch)
        if base is None:
            raise StepError(f"{self.address} has no branch {self.base}")
        if self._holds(base, path, text):
            if there:  # what is proposed is another version, which is not to be merged by mistake
                self._git("push", "--quiet", "origin", f":refs/heads/{self.branch}")
            return None
        if there and self._holds(there, path, text):
            return None
        commit = self._commit(base, path, text, message)
        self._git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{self.branch}")
        return commit

    def _push(self, path, text, message):
        """To the base itself. If someone pushed in between, takes their state and tries again."""
        for _ in range(PUSHES):
            start = self._fetch(self.branch)
            if start is None:
                raise StepError(f"{self.address} has no branch {self.branch}")
            if self._holds(start, path, text):
                return None
            commit = self._commit(start, path, text, message)
            pushed = self._git("push", "--quiet", "origin", f"HEAD:refs/heads/{self.branch}", may_fail=True)
            if not pushed.returncode:
                return commit
            if not any(sign in pushed.stderr for sign in MOVED):
                break
        raise StepError(f"the push to {self.branch} of {self.address} fails: {' '.join(pushed.stderr.split())[-400:]}")
