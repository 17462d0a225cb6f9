"""usage: rollout.py <ROLLOUT.json

What is to be done about a Rollout of Argo's, as kubectl gives it: the first word is `wait`, `done` or `failed`, then a sentence
for people. Helm's --wait knows nothing of Rollouts. Called again and again by deploy.sh.
"""

import json
import sys


def preview_is_proven(status):
    """Whether the golden predictions were right, where they were asked for at all."""
    run = status.get("blueGreen", {}).get("prePromotionAnalysisRunStatus")
    return run is None or run.get("status") == "Successful"


def waits_for(rollout):
    """What a Rollout that is paused waits for."""
    return {it["reason"] for it in rollout["status"].get("pauseConditions") or []}


def verdict(rollout):
    """The word and the sentence."""
    status = rollout.get("status", {})
    # The controller writes the generation that it has seen as text.
    if str(status.get("observedGeneration")) != str(rollout["metadata"]["generation"]):
        return "wait", "the controller has not seen the new version yet"
    phase, message = status.get("phase"), status.get("message") or ""
    if phase == "Healthy":
        return "done", "the new version serves all requests"
    if phase == "Degraded":
        return "failed", f"the rollout is Degraded: {message}"
    if phase == "Paused":
        reasons = waits_for(rollout)
        if "BlueGreenPause" in reasons and preview_is_proven(status):
            return "done", "the preview is proven and waits to be promoted: kubectl argo rollouts promote"
        if "InconclusiveAnalysisRun" in reasons:
            return "wait", "there were too few requests to judge the canary: somebody must promote or abort it"
    step = status.get("currentStepIndex")
    steps = len(rollout["spec"].get("strategy", {}).get("canary", {}).get("steps") or [])
    where = f", step {step} of {steps}" if step is not None and steps else ""
    return "wait", f"{phase}{where} {message}".strip()


def main():
    print(*verdict(json.load(sys.stdin)))


if __name__ == "__main__":
    main()
