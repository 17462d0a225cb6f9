"""usage: argo.py

Holds pipelines/argo against what it is to be: the schemas of Argo's definitions and of Kubernetes (kubeconform), and what no
schema knows: that each step runs a script that there is with options that it takes, in an image that is built, with what
earlier steps hand over, closed in, with the resources that were asked for. Then spoils it on purpose, and demands that each
mistake is seen. KUBECONFORM, SCHEMAS and HELM name what it needs.
"""

import sys

import schema
import spoil
import workflow
from rules import RULES, broken


def main():
    """Says every problem."""
    found = workflow.objects()
    said = [*(sentence for _, sentence in broken(found)), *schema.problems(found), *spoil.problems()]
    for sentence in said:
        print(f"error: pipelines/argo: {sentence}", file=sys.stderr)
    count = sum(map(len, found.values()))
    print(f"{count} objects of pipelines/argo have the form that Argo's definitions and Kubernetes ask for, and keep {len(RULES)} rules")
    print(f"{len(spoil.SPOILT) + len(schema.WRONG)} mistakes in pipelines/argo, made on purpose, are each seen")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
