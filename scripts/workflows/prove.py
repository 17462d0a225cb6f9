"""usage: prove.py

Runs the scripts that the workflows' steps call, for real where nothing of GitHub, a registry or a cluster is needed, and with a
stand-in for gh, docker, cosign, aws and kubectl where it is. What deploy.sh does in a cluster is a scenario of `make e2e`.
"""

import pathlib
import re
import sys
import tempfile

import prove_release
from bench import ENVIRONMENTS, IMAGE, NEW, NEWER, OLD, Bench, Wrong, expect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "delivery"))
import rollout  # noqa: E402

STAGING, PRODUCTION = (f"{ENVIRONMENTS}/{it}/image.yaml" for it in ("staging", "production"))
LIST_NONE = 'case "$1 $2" in "pr list") ;; esac'
LIST_ONE = 'case "$1 $2" in "pr list") echo 7 ;; esac'


def proposals(bench):
    """a proposal is one commit on a branch of its own and a pull request; main and the other environment stay"""
    before = bench.git("rev-parse", "main", of=bench.remote)
    bench.stand_in("gh", LIST_NONE)
    bench.run("scripts/delivery/propose.sh", "staging", "--repository", IMAGE, "--digest", NEW)
    expect(bench.git("rev-parse", "main", of=bench.remote) == before, "main was pushed to")
    text = bench.git("show", f"delivery/staging:{STAGING}", of=bench.remote)
    expect(text == f"# Ours.\nimage:\n  repository: {IMAGE}\n  digest: {NEW}\n", "staging is to run something else:", text)
    expect(bench.git("diff", "--name-only", "main", "delivery/staging", of=bench.remote).split() == [STAGING], "more than one file changed")
    calls = bench.called()
    expect("gh pr create --base main --head delivery/staging" in calls and "gh auth setup-git" in calls, "no pull request was opened:", calls)
    bench.git("switch", "--quiet", "main")
    bench.stand_in("gh", LIST_ONE)
    bench.run("scripts/delivery/propose.sh", "staging", "--repository", IMAGE, "--digest", NEWER)
    expect("gh pr edit 7" in (calls := bench.called()) and "create" not in calls, "the pull request that is open was not taken:", calls)
    expect(bench.git("rev-list", "--count", "main..delivery/staging", of=bench.remote).strip() == "1", "the branch has more than one commit")
    expect(NEWER in bench.git("show", f"delivery/staging:{STAGING}", of=bench.remote), "the newer digest is not proposed")
    bench.git("switch", "--quiet", "main")


def promotions(bench):
    """a promotion takes staging's image to production; what is there already is not proposed again"""
    bench.stand_in("gh", LIST_NONE)
    bench.run("scripts/delivery/propose.sh", "production", "--from", "staging")
    expect(not bench.called(), "a promotion of what runs already asked for something")
    bench.write(STAGING, f"# Theirs.\nimage: {{repository: {IMAGE}, digest: \"{NEW}\"}}\n")
    bench.git("commit", "--quiet", "--all", "--message", "staging")
    bench.run("scripts/delivery/propose.sh", "production", "--from", "staging")
    text = bench.git("show", f"delivery/production:{PRODUCTION}", of=bench.remote)
    expect(text == f"# Ours.\nimage:\n  repository: {IMAGE}\n  digest: {NEW}\n", "production is to run something else:", text)
    expect("gh pr create --base main --head delivery/production" in bench.called(), "no pull request was opened")
    bench.git("switch", "--quiet", "main")


def models(bench):
    """a model's branch is proposed where it changes one environment's model and nothing else"""
    file, tool = f"{ENVIRONMENTS}/staging/model.yaml", ("scripts/delivery/propose_model.sh", "delivery/model-staging")
    bench.git("switch", "--quiet", "--create", "delivery/model-staging")
    bench.write(file, "models: {source: init}\n")
    bench.git("commit", "--quiet", "--all", "--message", "staging: serve fraud-detector 2")
    bench.stand_in("gh", LIST_NONE)
    bench.run(*tool)
    calls = bench.called()
    expect("gh pr create --base main --head delivery/model-staging" in calls, "no pull request was opened:", calls)
    expect("--title gitops: staging: serve fraud-detector 2" in calls, "the pull request says something else:", calls)
    bench.run("scripts/delivery/propose_model.sh", "delivery/model-production", refused="alone")
    bench.run("scripts/delivery/propose_model.sh", "main", refused="usage")
    bench.write(STAGING, f"image: {{digest: {NEWER}}}\n")
    bench.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    bench.run(*tool, refused="alone")
    bench.git("switch", "--quiet", "main")


def images(bench):
    """an image is written by digest alone, in a file that has nothing else"""
    tool = ("python3", "scripts/delivery/set_image.py")
    expect(bench.run(*tool, "production").strip() == f"{IMAGE}@{OLD}", "another image is told")
    for options, word in [
        (("staging", "--digest", "sha256:12"), "no image's digest"), (("staging", "--digest", f"sha256:{'0' * 64}"), "no image's digest"),
        (("stage", "--digest", NEW), "no environment"),
        (("staging", "--digest", NEW, "--repository", f"{IMAGE}:1.0"), "no name"), (("staging", "--from", "production", "--digest", NEW), "as it is"),
    ]:  # fmt: skip
        bench.run(*tool, *options, refused=word)
    bench.write(STAGING, f"image:\n  digest: {OLD}\n  pullPolicy: Always\n")
    bench.run(*tool, "staging", "--digest", NEW, refused="more than an image")
    for nothing in ("", f"image:\n  digest: sha256:{'0' * 64}\n"):
        bench.write(STAGING, nothing)
        bench.run(*tool, "production", "--from", "staging", refused="nothing to promote")
    bench.git("checkout", "--quiet", STAGING)


def renders(bench):
    """the difference of the rendered chart is shown, and that there is none"""
    expect("Nothing changes in" in bench.run("scripts/delivery/render_diff.sh", "HEAD"), "a difference is shown where there is none")
    bench.write(f"{ENVIRONMENTS}/production/values.yaml", "replicaCount: 7\nautoscaling: {mode: none}\n")
    said = bench.run("scripts/delivery/render_diff.sh", "HEAD")
    expect("\n+  replicas: 7" in said and "1 of " in said and "environment-production.yaml" in said, "the difference is not shown:", said)
    bench.run("scripts/delivery/render_diff.sh", "no-such-commit", refused="there is no commit")
    bench.git("checkout", "--quiet", ".")


def pushes(bench):
    """bases are pinned once; architectures come under every tag; the names are in lower case"""
    digest = 'case "$*" in *inspect*) echo \'{"digest": "' + NEW + "\"}' ;; esac"
    bench.stand_in("docker", digest)
    lines = dict(it.split("=", 1) for it in bench.run("scripts/delivery/image_arguments.sh", GITHUB_REPOSITORY_OWNER="MyOrg").splitlines())
    expect(lines["image"] == IMAGE and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines["created"]), "wrong arguments:", lines)
    expect(all(lines[it].endswith(f"@{NEW}") for it in ("builder", "runtime", "python")), "a base is not pinned:", lines)
    bench.called()
    for it in "de":
        bench.write(f"digests/{it * 64}", "")
    tags = f"{IMAGE}:sha-1234567\n{IMAGE}:main"
    expect(bench.run("scripts/delivery/publish_image.sh", IMAGE, "digests", TAGS=tags).strip() == NEW, "another digest is told")
    wanted = f"create --tag {IMAGE}:sha-1234567 --tag {IMAGE}:main {IMAGE}@sha256:{'d' * 64} {IMAGE}@sha256:{'e' * 64}\n"
    expect(wanted in (calls := bench.called()), "the tags were set otherwise:", calls)
    bench.write("digests/readme", "")
    bench.run("scripts/delivery/publish_image.sh", IMAGE, "digests", TAGS=tags, refused="no digest")


def signatures(bench):
    """the signature must be of this repository's two signing workflows, of main or of a version"""
    bench.stand_in("cosign")
    bench.run("scripts/delivery/verify_image.sh", f"{IMAGE}@{NEW}")
    calls = bench.called()
    identity = re.search(r"--certificate-identity-regexp (\S+)", calls).group(1)
    expect("--certificate-oidc-issuer https://token.actions.githubusercontent.com" in calls, "another issuer:", calls)
    ours = "https://github.com/myorg/ml-inference-api/.github/workflows/"
    for subject, wanted in [
        ("image.yml@refs/heads/main", True), ("image.yml@refs/tags/v1.2.3-rc.1", True), ("release.yml@refs/tags/v1.2.3", True),
        ("image.yml@refs/heads/mains", False), ("image.yml@refs/pull/1/merge", False), ("ci-cd.yml@refs/heads/main", False),
    ]:  # fmt: skip
        expect(bool(re.search(identity, ours + subject)) == wanted, f"{identity} takes {subject}: {not wanted}")
    expect(not re.search(identity, f"{ours}image.yml@refs/heads/main".replace("myorg", "other")), "it takes another owner's")
    bench.run("scripts/delivery/verify_image.sh", f"{IMAGE}:main", refused="usage")
    bench.stand_in("cosign", "exit 1")
    bench.run("scripts/delivery/verify_image.sh", f"{IMAGE}@{NEW}", refused="no signature")


def clusters(bench):
    """the cluster is that of AWS's role, else that of the secret, and one of them there must be"""
    bench.stand_in("kubectl")
    bench.stand_in("aws")
    with tempfile.TemporaryDirectory() as folder:
        job = {"RUNNER_TEMP": folder, "GITHUB_ENV": f"{folder}/env", "AWS_REGION": "ap-northeast-2"}
        bench.run("scripts/delivery/kubeconfig.sh", **job, EKS_CLUSTER="production")
        expect("aws eks update-kubeconfig --name production --region ap-northeast-2" in bench.called(), "AWS was not asked")
        bench.run("scripts/delivery/kubeconfig.sh", **job, KUBECONFIG_CONTENT="apiVersion: v1")
        file = pathlib.Path(folder, "kubeconfig")
        expect(file.read_text() == "apiVersion: v1\n" and file.stat().st_mode & 0o077 == 0, "the kubeconfig is another, or open to all")
        expect(f"KUBECONFIG={file}\n" in pathlib.Path(folder, "env").read_text(), "later steps do not know it")
        bench.run("scripts/delivery/kubeconfig.sh", **job, refused="nothing leads to a cluster")


def status(phase, generation=2, **more):
    """A Rollout as the controller leaves it."""
    return {"metadata": {"generation": 2}, "spec": {"strategy": {}}, "status": {"phase": phase, "observedGeneration": str(generation)} | more}


def verdicts(_):
    """a Rollout is waited for until it serves, is given up, or has a proven preview"""
    preview = {"pauseConditions": [{"reason": "BlueGreenPause"}]}
    judged = lambda word: {"blueGreen": {"prePromotionAnalysisRunStatus": {"status": word}}}  # noqa: E731
    for thing, word in [
        (status("Healthy"), "done"), (status("Healthy", generation=1), "wait"), (status("Degraded"), "failed"), (status("Progressing"), "wait"),
        (status("Paused", pauseConditions=[{"reason": "CanaryPauseStep"}]), "wait"), (status("Paused", **preview), "done"),
        (status("Paused", **preview, **judged("Running")), "wait"), (status("Paused", **preview, **judged("Successful")), "done"),
        (status("Paused", pauseConditions=[{"reason": "InconclusiveAnalysisRun"}]), "wait"), ({"metadata": {"generation": 1}, "spec": {}}, "wait"),
    ]:  # fmt: skip
        said = rollout.verdict(thing)
        expect(said[0] == word and said[1], f"not {word}:", f"{said} {thing}")


def refusals(bench):
    """nothing is deployed by a tag, by half a digest, without its values or by Helm 4"""
    deploy = "scripts/delivery/deploy.sh"
    bench.stand_in("helm4", "echo v4.0.0")
    for arguments, word in [
        (("production", IMAGE, "main"), "no digest"), (("production", f"{IMAGE}:main", NEW), "without tag"), (("prod", IMAGE, NEW), "three files"),
        (("production", IMAGE, NEW), "needs Helm 3"),
    ]:  # fmt: skip
        bench.run(deploy, *arguments, refused=word, HELM=str(bench.bin / "helm4"))
    calls = bench.called()
    expect("upgrade" not in calls, "something was deployed:", calls)


PROOFS = [proposals, promotions, models, images, renders, pushes, signatures, clusters, verdicts, refusals, *prove_release.PROOFS]


def main():
    for proof in PROOFS:
        with Bench() as bench:
            try:
                proof(bench)
            except Wrong as wrong:
                sys.exit(f"error: {proof.__name__}: {wrong}")
        print(f"{proof.__name__}: {proof.__doc__}")


if __name__ == "__main__":
    main()
