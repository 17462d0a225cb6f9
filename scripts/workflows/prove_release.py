"""The proofs of what release.yml runs. Used by prove.py."""

import platform
import shutil
import sys

from bench import IMAGE, NEW, OLD, expect
from registry import Registry

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.2.0] - 2026-11-30

### Added

- `make coverage`.

### Fixed

- A [link](https://example.com).

## [1.1.0] - 2026-11-01

- Old.

[1.2.0]: https://github.com/myorg/ml-inference-api/releases/tag/v1.2.0
"""
NOTES = "### Added\n\n- `make coverage`.\n\n### Fixed\n\n- A [link](https://example.com).\n"


def versioned(bench, cargo="1.2.0", chart="1.2.0", image="1.2.0"):
    """Writes the files that a version stands in."""
    bench.write("CHANGELOG.md", CHANGELOG)
    bench.write("Cargo.toml", f'[package]\nname = "ml-inference-api"\nversion = "{cargo}"\n')
    bench.write("helm/ml-inference-api/Chart.yaml", f'name: ml-inference-api\nversion: {chart}\nappVersion: "{image}"\n')


def versions(bench):
    """a tag is released where the crate, the chart, its image and the changelog say the same; the notes are that section"""
    tool = (sys.executable, "scripts/release/version.py")
    versioned(bench)
    expect(bench.run(*tool, "check", "v1.2.0") == "1.2.0\n", "another version is told")
    notes = bench.run(*tool, "notes", "v1.2.0")
    expect(notes == NOTES, "the notes are others:", notes)
    bench.run(*tool, "check", "1.2.0", refused="no version")
    bench.run(*tool, "check", "v1.3.0", refused="CHANGELOG.md has no section")
    wrongs = [({"cargo": "1.1.0"}, "Cargo.toml is 1.1.0"), ({"chart": "1.1.0"}, "version is 1.1.0"), ({"image": "1.1.0"}, "appVersion is 1.1.0")]
    for wrong, word in wrongs:
        versioned(bench, **wrong)
        bench.run(*tool, "check", "v1.2.0", refused=word)


def archives(bench):
    """an archive is the same bit for bit when made twice, is for its architecture, and its sum sees a change"""
    # Any program of this machine's stands for ours.
    program = shutil.which("true")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    other = {"amd64": "arm64", "arm64": "amd64"}[machine]
    for place in ("root/usr/local/bin/ml-inference-api", "root/usr/local/lib/libonnxruntime.so"):
        bench.write(place, "")
        shutil.copy(program, bench.root / place)
    for out in ("first", "second"):
        bench.run("scripts/release/archive.sh", "root", "1.2.0", machine, out)
        bench.run("scripts/release/sums.sh", out)
    name = f"ml-inference-api-1.2.0-linux-{machine}"
    first, second = ((bench.root / it / f"{name}.tar.gz").read_bytes() for it in ("first", "second"))
    expect(first == second, "two archives of the same files differ")
    listing = bench.run("tar", "--list", "--file", f"first/{name}.tar.gz").split()
    expect({f"{name}/bin/ml-inference-api", f"{name}/lib/libonnxruntime.so", f"{name}/licenses/LICENSE"} <= set(listing), "it lacks files:", listing)
    check = ("sha256sum", "--check", "--quiet", "SHA256SUMS")
    bench.run("env", f"--chdir={bench.root / 'first'}", *check)
    (bench.root / "second" / f"{name}.tar.gz").write_bytes(first + b"x")
    bench.run("env", f"--chdir={bench.root / 'second'}", *check, refused="did NOT match")
    bench.run("scripts/release/archive.sh", "root", "1.2.0", other, "third", refused=f"not for {other}")
    (bench.root / "root/usr/local/lib/libonnxruntime.so").unlink()
    bench.run("scripts/release/archive.sh", "root", "1.2.0", machine, "third", refused="missing")


def passed(bench):
    """a commit is released only where CI/CD has passed for it on main"""
    commit = "d" * 40
    bench.stand_in("gh", "echo 1")
    bench.run("scripts/release/passed.sh", commit)
    calls = bench.called()
    expect(f"--workflow ci-cd.yml --branch main --event push --commit {commit}" in calls, "something else was asked:", calls)
    bench.stand_in("gh", "echo 0")
    bench.run("scripts/release/passed.sh", commit, refused="has not passed")


def releases(bench):
    """a release has the notes, what belongs to it by digest, and the files; run again, it is renewed"""
    versioned(bench)
    bench.write("files/SHA256SUMS", "")
    digests = [f"{IMAGE}@{OLD}", f"{IMAGE}@{NEW}"]
    keep = 'for it in "$@"; do [[ ! -f $it || $it == */files/* ]] || cat "$it" >notes; done'
    bench.stand_in("gh", f'[[ $2 != view ]] || exit 1\n{keep}')
    bench.run("scripts/release/publish.sh", "v1.2.0", "files", *digests)
    calls, notes = bench.called(), (bench.root / "notes").read_text(encoding="utf-8")
    expect("gh release create v1.2.0" in calls and "files/SHA256SUMS" in calls and "--prerelease" not in calls, "it was made otherwise:", calls)
    expect(notes == f"{NOTES}\n### By digest\n\n- {digests[0]}\n- {digests[1]}\n", "the notes are others:", notes)
    bench.stand_in("gh", keep)
    bench.run("scripts/release/publish.sh", "v1.2.0", "files", *digests)
    calls = bench.called()
    expect("gh release edit v1.2.0" in calls and "gh release upload v1.2.0 --clobber" in calls and "create" not in calls, "not renewed:", calls)
    bench.run("scripts/release/publish.sh", "v1.2.0", "files", f"{IMAGE}:1.2.0", refused="by its digest")


def packages(bench):
    """the chart's package is pushed by Helm, and the digest that is told is that under which it can be pulled, bit for bit"""
    bench.run("scripts/release/push_chart.sh", "no-such.tgz", refused="no-such.tgz")
    helm = bench.run("scripts/tools/program.sh", "helm").strip()
    bench.run(helm, "package", "--destination", "packages", "helm/ml-inference-api")
    [package] = (bench.root / "packages").glob("*.tgz")
    with Registry() as registry:
        place = f"{registry.address}/myorg"
        said = bench.run("scripts/release/push_chart.sh", package, "--plain-http", REGISTRY=place)
        lines = dict(it.split("=", 1) for it in said.splitlines())
        expect(lines["chart"] == f"{place}/charts/ml-inference-api", "the chart has another name:", said)
        (bench.root / "pulled").mkdir()
        bench.run(helm, "pull", f"oci://{lines['chart']}@{lines['digest']}", "--plain-http", "--destination", "pulled")
        [pulled] = (bench.root / "pulled").glob("*.tgz")
        expect(pulled.read_bytes() == package.read_bytes(), "what was pulled by the digest is another package")
    bench.run("scripts/release/push_chart.sh", package, "--plain-http", REGISTRY=place, refused="could not be pushed")


PROOFS = [versions, archives, passed, releases, packages]
