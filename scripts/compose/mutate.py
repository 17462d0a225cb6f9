"""usage: mutate.py

Proves that check.py can fail: spoils a copy of deploy/compose.yaml, or of a file that it mounts, in one way each and demands a
complaint with a given word.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import check

COMPOSE, FOLDER = "deploy/compose.yaml", "deploy/compose"
# The file, what is replaced by what, and a word of the complaint.
MUTATIONS = [
    (COMPOSE, "read_only: true", "read_onli: true", "loader"),
    (COMPOSE, '"127.0.0.1:3000:3000"', '"127.0.0.1:3000:3x"', "loader"),
    (COMPOSE, "grafana/tempo:2.8.2", "grafana/tempo:latest", "no version"),
    (COMPOSE, "contrib:0.155.0", "contrib:0.154.0", "tried here"),
    (COMPOSE, "mlflow:v3.17.2", "mlflow:v3.1.0", "tried here"),
    (COMPOSE, '"127.0.0.1:5000:5000"', '"5000:5000"', "beyond loopback"),
    (COMPOSE, '"127.0.0.1:9090:9090"', '"127.0.0.1:8080:9090"', "port 8080 is"),
    (COMPOSE, "files/rules", "files/rulez", "there is no"),
    (COMPOSE, "loki.yaml:/etc/loki.yaml:ro", "loki.yaml:/etc/loki.yaml", "not read only"),
    (COMPOSE, "volumes:\n  mlflow: {}", "volumes:\n  other: {}", "not declared"),
    (COMPOSE, "depends_on: [collector]", "depends_on: [colector]", "waits for colector"),
    (COMPOSE, "http://collector:4317", "http://colector:4317", "no such service"),
    (COMPOSE, "http://collector:4317", "http://collector:4319", "listens on"),
    (COMPOSE, "--port=5000", "--port=5001", "publishes 5000"),
    (f"{FOLDER}/collector.yaml", "endpoint: tempo:4317", "endpoint: tempo:4316", "listens on"),
    (f"{FOLDER}/collector.yaml", "http://loki:3100", "http://lokki:3100", "no such service"),
    (f"{FOLDER}/tempo.yaml", "0.0.0.0:4317", "0.0.0.0:4316", "listens on"),
    (f"{FOLDER}/loki.yaml", "http_listen_port: 3100", "http_listen_port: 3101", "listens on"),
    (f"{FOLDER}/loki.yaml", "auth_enabled: false", "auth_enabled: [", "no YAML"),
    (f"{FOLDER}/prometheus.yml", "server:8080", "server:9090", "listens on"),
    (f"{FOLDER}/grafana/datasources.yml", "http://tempo:3200", "http://tempo:3100", "listens on"),
]  # fmt: skip


def spoilt(root, file, old, new):
    """What check.py says of a copy in which a text is replaced."""
    shutil.copytree("deploy", root / "deploy", symlinks=True)
    (root / "helm").symlink_to(Path("helm").resolve())
    text = (root / file).read_text()
    if old not in text:
        return [f"'{old}' is no longer in {file}: mutate.py has to follow"]
    (root / file).write_text(text.replace(old, new, 1))
    return check.problems(root)


def main():
    unseen = []
    for file, old, new, word in MUTATIONS:
        with tempfile.TemporaryDirectory() as folder:
            said = spoilt(Path(folder), file, old, new)
        if not any(word in it for it in said):
            unseen.append(f"{file} with '{new}' in place of '{old}' is not seen: {said}")
    if unseen:
        sys.exit("\n".join([*unseen, "error: the checks of deploy/compose.yaml overlook what is above"]))
    print(f"each of {len(MUTATIONS)} mistakes in it is seen")


if __name__ == "__main__":
    main()
