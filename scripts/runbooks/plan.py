"""What a remedy would do, in words and commands, before it does it."""

import shlex
import subprocess

# A drain takes drain.delay + drain.timeout for each pod, a rollback several of them.
COMMAND_SECONDS = 900


class Refused(Exception):
    """Doing it would make things worse, or is not ours to do: one sentence, and what to do in its place."""


class Failed(Exception):
    """Something could not be read or did not work: one sentence."""


def shown(words):
    """A command as it can be pasted."""
    return " ".join(shlex.quote(str(it)) for it in words)


def run(words, stdin=None, seconds=COMMAND_SECONDS):
    """What a command printed; a command that fails is told with its own words."""
    try:
        done = subprocess.run(
            [str(it) for it in words], input=stdin or "", capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
    except FileNotFoundError:
        raise Failed(f"{words[0]} is not installed, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"'{shown(words)}' did not end within {seconds} s") from None
    if done.returncode:
        raise Failed(f"'{shown(words)}' failed with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Plan:
    """Facts that were looked at, steps that change something, and how to see that it is over."""

    def __init__(self, title):
        self.title, self.facts, self.steps, self.over, self.back = title, [], [], [], []

    def fact(self, text):
        """What is there now, and matters for the decision."""
        self.facts.append(text)

    def command(self, *words, stdin=None):
        """A step that is a command."""
        text = shown(words) + (f" <<<{shlex.quote(stdin)}" if stdin else "")
        self.steps.append((text, lambda: run(words, stdin)))

    def act(self, text, function):
        """A step that is a call; `text` says which, so that it could be made by hand."""
        self.steps.append((text, function))

    def tell(self):
        """Prints the plan."""
        print(f"{self.title}\n\nnow:")
        print("\n".join(f"  {it}" for it in self.facts))
        print("\nsteps:")
        print("\n".join(f"  {number}. {text}" for number, (text, _) in enumerate(self.steps, 1)))
        for head, lines in (("over when", self.over), ("the way back", self.back)):
            if lines:
                print(f"\n{head}:")
                print("\n".join(f"  {it}" for it in lines))

    def carry_out(self):
        """Does the steps, one after the other, each named before it is done. The first that fails ends it."""
        for number, (text, function) in enumerate(self.steps, 1):
            print(f"\n==> {number}. {text}", flush=True)
            print((function() or "done").strip(), flush=True)
