"""usage: mutate.py

Proves that the rules of check.py can fail: makes one mistake at a time in a copy of the workflows, and demands that the named rule
complains in a sentence with a given word. Every rule must have a mutation.
"""

import sys

import check
import files

CI, IMAGE, RELEASE, PROMOTE, WEEKLY = (f"{files.FOLDER}/{it}.yml" for it in ("ci-cd", "image", "release", "promote", "weekly"))
SETUP = f"{files.ACTIONS}/setup/action.yml"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"

# The file, what stands there, what takes its place, the rule that must complain, and a word of its sentence.
MUTATIONS = [
    (CI, CHECKOUT, "actions/checkout@v7", "pins", "40 digits"),
    (CI, CHECKOUT, "actions/checkout@3d3c42e # v7.0.1", "pins", "40 digits"),
    (CI, CHECKOUT, CHECKOUT.split(" #")[0], "pins", "comment"),
    (WEEKLY, CHECKOUT, CHECKOUT.replace("3d3c", "0000"), "pins", "elsewhere"),
    (SETUP, "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae", "actions/cache@main", "pins", "40 digits"),
    (CI, "./.github/actions/setup", "./.github/actions/set-up", "pins", "does not exist"),
    (WEEKLY, "rust:1.95-bookworm@sha256:", "rust:1.95-bookworm # sha256:", "containers", "by digest"),
    (CI, "        shell: bash\n", "", "containers", "shell: bash"),
    (SETUP, "      shell: bash\n", "", "containers", "shell: bash"),
    (CI, "permissions: {}", "permissions: {contents: read, packages: write}", "permissions", "at the top"),
    (RELEASE, "permissions: {}", "", "permissions", "at the top"),
    (IMAGE, "    permissions:\n      contents: read\n    outputs:", "    outputs:", "permissions", "prepare"),
    (CI, "    permissions:\n      contents: read\n    strategy", "    permissions: write-all\n    strategy", "permissions", "test"),
    (IMAGE, "    timeout-minutes: 20\n", "", "timeouts", "publish"),
    (WEEKLY, "timeout-minutes: 240", "timeout-minutes: 360", "timeouts", "more than"),
    (RELEASE, "concurrency:\n  group: release-${{ github.ref }}\n  cancel-in-progress: false\n", "", "concurrency", "no concurrency"),
    (CI, "deploy-production\n      cancel-in-progress: false", "deploy-production\n      cancel-in-progress: true", "concurrency", "deploy"),
    (CI, "  pull_request:\n", "  pull_request_target:\n", "triggers", "pull_request_target"),
    (PROMOTE, "  workflow_dispatch:\n", "  issue_comment:\n", "triggers", "issue_comment"),
    (CI, "    with:\n      cache: true", "    secrets: inherit\n    with:\n      cache: true", "triggers", "secrets"),
    (IMAGE, 'sudo -E scripts/image/verify.sh "$TARGET"', "sudo -E scripts/image/verify.sh ${{ matrix.target }}", "expressions", "by env"),
    (CI, "          persist-credentials: false\n", "", "credentials", "persist-credentials"),
    (PROMOTE, "persist-credentials: false", "persist-credentials: true", "credentials", "promote"),
    (CI, "run: make check-chart", "run: make check-charts", "targets", "check-charts"),
    (CI, "targets: test check-expressions", "targets: test check-expresions", "targets", "check-expresions"),
    (WEEKLY, "[e2e, soak,", "[e2e, soaking,", "targets", "soaking"),
    (CI, "          TARGETS: ${{ matrix.targets }}", "          TARGETS: ${{ github.sha }}", "targets", "no target"),
    (WEEKLY, "TARGET: ${{ matrix.target }}", "TARGET: ${{ matrix.lane }}", "targets", "cannot be told"),
    (CI, "scripts/delivery/deploy.sh", "scripts/delivery/deploi.sh", "scripts", "deploi"),
    (RELEASE, "python3 scripts/release/version.py check", "scripts/tools/versions.env check", "scripts", "executed"),
    (CI, "check-clippy ", "", "whole_check", "check-clippy"),
    (CI, "  pull_request:\n    branches: [main]\n", "", "whole_check", "pull request"),
    (CI, "targets: test check-expressions", "targets: test", "whole_check", "check-expressions"),
    (CI, "&& vars.DELIVERY != 'push'", "&& vars.DELIVERY == 'push'", "delivery", "exactly one"),
    (CI, "&& vars.DELIVERY != 'push'", "&& vars.DELIVERY == 'gitops'", "delivery", "exactly one"),
    (CI, "refs/heads/main' && vars.DELIVERY == 'push'", "refs/heads/develop' && vars.DELIVERY == 'push'", "delivery", "beside DELIVERY"),
    (CI, "    name: Deploy to production\n    needs: build", "    name: Deploy to production\n    needs: test", "delivery", "without the build"),
    (CI, "environments/*/image.yaml", "environments/*/images.yaml", "delivery", "without end"),
]  # fmt: skip


def seen(texts, path, old, new):
    """What the rules say of the copy with one mistake."""
    spoilt = dict(texts)
    if old not in spoilt[path]:
        raise SystemExit(f"error: {path} has no '{old}' to spoil: scripts/workflows/mutate.py must follow it")
    spoilt[path] = spoilt[path].replace(old, new, 1)
    return check.faults({it: files.File(it, text) for it, text in spoilt.items()})


def main():
    texts = {path: file.text for path, file in files.load().items()}
    missed = [f"without any mistake: {it}" for it in check.faults(files.load())]
    for path, old, new, rule, word in MUTATIONS:
        found = seen(texts, path, old, new)
        if not any(name == rule and word in sentence for name, sentence in found):
            missed.append(f"{path}: '{new or old}' is not seen by {rule} with '{word}', but: {found}")
    without = {it.__name__ for it in check.RULES} - {it[3] for it in MUTATIONS}
    missed += [f"the rule {it} has no mutation" for it in sorted(without)]
    for sentence in missed:
        print(f"error: {sentence}", file=sys.stderr)
    if missed:
        sys.exit(1)
    print(f"each of {len(MUTATIONS)} mistakes made on purpose is seen by its rule")


if __name__ == "__main__":
    main()
