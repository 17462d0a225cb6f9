"""Plans each folder's variables.tf by itself, which needs no provider, with the values of refusals.yaml: good ones are taken, each bad one
is refused in the sentence that is meant for it, and every validation is met. Called by check.sh.
"""

import json
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from scratch import FOLDERS, ROOT, run_tofu, squeezed, validations

CASES = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text())


def planned(home, values):
    """What OpenTofu says of values, with the words that it was said in."""
    with tempfile.NamedTemporaryFile("w", suffix=".tfvars.json") as file:
        json.dump(values, file)
        file.flush()
        done = run_tofu(home, "plan", "-input=false", "-lock=false", f"-var-file={file.name}")
    return done.returncode, squeezed(done.stdout + done.stderr)


def of_good(home, values):
    code, said = planned(home, values)
    return [f"{home.name} refuses {values}: {said[:800]}"] if code else []


def of_bad(home, case, base):
    sentence, values = case
    code, said = planned(home, base | values)
    if not code:
        return [f"{home.name} takes {values}, which must be refused with '{sentence} ...'"]
    if sentence not in said or said.count("Error:") != 1:
        return [f"{home.name} refuses {values}, but not with '{sentence} ...' alone: {said[:800]}"]
    return []


def main():
    problems, count = [], 0
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(4) as pool:
        asked = []
        for name in FOLDERS:
            home = Path(work) / name
            home.mkdir()
            shutil.copy(ROOT / "deploy/terraform" / name / "variables.tf", home)
            good, bad = CASES[name]["good"], CASES[name]["bad"]
            asked += [pool.submit(of_good, home, values) for values in good]
            asked += [pool.submit(of_bad, home, case, good[0]) for case in bad]
            count += len(bad)
            for variable, sentence in validations(name):
                if not any(sentence.startswith(case[0]) for case in bad):
                    problems.append(f"{name}: refusals.yaml has no case for {variable}: {sentence}")
        problems += [it for future in asked for it in future.result()]
        # Proof that a missing refusal is seen: nobody forbids a bucket that is called so.
        if not of_bad(Path(work) / "bootstrap", ["bucket must", {"bucket": "acme"}], {}):
            problems.append("refusals.py does not notice a value that is taken")
    for problem in problems:
        print(f"error: deploy/terraform/{problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"variables refuse {count} bad values, each in its own sentence, and take the good ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())
