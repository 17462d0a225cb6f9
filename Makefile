# Each target does its own set-up, can be run again at no cost, and fails with a
# sentence where it cannot do its work. `make` alone lists them.
# RUNTIME=cpu|openvino|cuda chooses the ONNX Runtime library beside the binary.
# ARGS is handed to the server (`serve`), the test runner (`test`), `bench`, `e2e`, `gpu-check`, `instructions`, `observe`,
# `soak`, `variants`, `check-chart`, `coverage`, `pipeline`, `readme` or `fuzz`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

RUNTIME ?= cpu
ARGS ?=
RELEASE := $(abspath $(or $(CARGO_TARGET_DIR),target))/release

# ONNX Runtime's wheels carry a telemetry client: off for whatever is started here.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: prerequisites runtime ## build target/release/ml-inference-api and put ONNX Runtime beside it
	@cargo build --release --locked

.PHONY: models
models: prerequisites ## assemble the demo models under models/
	@scripts/models/assemble.sh

.PHONY: serve
serve: build models ## build, assemble the models and serve them on http://localhost:8080
	@printf '%s\n' >&2 '' \
	    '  Serving models/, with fraud-detector as the default model. Ctrl-C stops it.' \
	    '  Once it is ready, unless ARGS or the environment moves the addresses:' '' \
	    '    curl -s localhost:8080/predict/fraud-detector   what it takes, with an example to POST' \
	    '    curl -s localhost:8080/health    which models are ready' \
	    '    curl -s localhost:8080/metrics   its metrics' ''
	MODEL_NAME=$${MODEL_NAME:-fraud-detector} exec $(RELEASE)/ml-inference-api serve --models models $(ARGS)

.PHONY: observe
observe: build models ## serve them with a Collector, Prometheus and a load: ARGS=--once walks from alert to trace
	@scripts/observability/observe.sh $(RELEASE)/ml-inference-api $(ARGS)

# A run that names its tests leaves the chart alone.
.PHONY: test
test: prerequisites runtime models $(if $(ARGS),,check-chart) ## run every test, against real collectors, checkers and clients
	@otelcol=$$(scripts/tools/otelcol.sh)
	promtool=$$(scripts/tools/promtool.sh)
	prometheus=$$(scripts/tools/prometheus.sh)
	nvml=$$(scripts/tools/nvml.sh)
	triton=$$(scripts/tools/environment.sh tritonclient)
	clients=$$(scripts/tools/environment.sh clients)
	grpcurl=$$(scripts/tools/program.sh grpcurl)
	schemathesis=$$(scripts/tools/environment.sh schemathesis)
	jsdom=$$(scripts/tools/jsdom.sh)
	export INFERENCE_TEST_OTELCOL="$$otelcol" INFERENCE_TEST_PROMTOOL="$$promtool" INFERENCE_TEST_NVML="$$nvml"
	export INFERENCE_TEST_PROMETHEUS="$$prometheus"
	export INFERENCE_TEST_TRITONCLIENT="$$triton" INFERENCE_TEST_CLIENTS="$$clients" INFERENCE_TEST_GRPCURL="$$grpcurl"
	export INFERENCE_TEST_SCHEMATHESIS="$$schemathesis" INFERENCE_TEST_JSDOM="$$jsdom"
	scripts/tools/onnxruntime.sh cuda $(RELEASE)/../gpu-runtime
	export INFERENCE_TEST_GPU_RUNTIME=$(abspath $(RELEASE)/../gpu-runtime)/libonnxruntime.so
	export ORT_DYLIB_PATH=$(RELEASE)/libonnxruntime.so
	exec cargo test --release --locked $(ARGS)

.PHONY: coverage
coverage: prerequisites ## which lines the tests reach, in target/coverage: ARGS='rust --lib', 'pipelines'
	@exec scripts/coverage/run.sh $(ARGS)

.PHONY: check
check: check-scripts check-dockerfile check-fmt check-fuzz check-alerts check-chart check-clippy check-docs ## the fast checks: scripts, format, alerts, chart, clippy, documentation

.PHONY: check-scripts
check-scripts:
	@find . \( -name .git -o -name .tools -o -name target \) -prune \
	    -o -type f \( -name '*.sh' -o -path ./.ci/run \) -print0 | xargs -0 -n 1 bash -n

.PHONY: check-dockerfile
check-dockerfile: prerequisites
	@hadolint=$$(scripts/tools/environment.sh hadolint hadolint)
	"$$hadolint" Dockerfile

.PHONY: check-fmt
check-fmt: prerequisites
	@cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml

.PHONY: check-fuzz
check-fuzz: prerequisites
	@cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null || {
	    echo "error: fuzz/Cargo.lock does not follow Cargo.toml: run 'cargo metadata --manifest-path fuzz/Cargo.toml' and commit it" >&2
	    exit 1
	}

.PHONY: check-alerts
check-alerts: prerequisites ## check alerts, their tests, dashboards, routes and runbooks with promtool and amtool
	@scripts/observability/check.sh

.PHONY: check-expressions
check-expressions: build models ## let a real Prometheus evaluate every query of rules, dashboards and runbooks
	@scripts/observability/evaluate.sh $(RELEASE)/ml-inference-api

.PHONY: check-chart
check-chart: prerequisites ## check the Helm chart, k8s/ and deploy/kserve without a cluster: lint, tests, schemas, agreement, policies: ARGS=--helm4
	@scripts/chart/check.sh $(ARGS)

.PHONY: check-workflows
check-workflows: prerequisites ## check .github/workflows: actionlint, pins, permissions, and that each step is a make target that there is
	@scripts/workflows/check.sh

.PHONY: check-terraform
check-terraform: prerequisites ## check deploy/terraform: format, static checks, validations of variables, checkov
	@scripts/terraform/check.sh

.PHONY: check-gitops
check-gitops: prerequisites ## check deploy/gitops: schemas of Argo CD's and Flux's objects, and that they agree with the chart
	@scripts/gitops/check.sh

.PHONY: check-pipelines
check-pipelines: build ## check pipelines/: ruff, pytest with a real MLflow server, the Argo Workflow against its schema
	@scripts/pipelines/check.sh $(RELEASE)/ml-inference-api

.PHONY: check-delivery
check-delivery: check-workflows check-terraform check-gitops check-pipelines ## all four: from commit to cluster, from data to model

.PHONY: check-operations
check-operations: build models ## try the runbooks' commands, the budget's gate and the capacity examples, with the real server and Prometheus
	@scripts/operations/check.sh $(RELEASE)/ml-inference-api

.PHONY: pipeline
pipeline: build ## walk data-prep, train, evaluate, deploy against a real MLflow server, then serve what came out: docs/models.md
	@scripts/pipelines/walk.sh $(RELEASE)/ml-inference-api $(ARGS)

.PHONY: readme
readme: prerequisites ## walk README.md in an empty clone, each answer held against the page: ARGS='[--target FOLDER] [--with-tests] [--with-pipeline]'
	@scripts/readme/walk.sh $(ARGS)

.PHONY: check-clippy
check-clippy: prerequisites
	@cargo clippy --release --locked --all-targets -- -D warnings

.PHONY: check-docs
check-docs: prerequisites
	@RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps --document-private-items

.PHONY: fmt
fmt: prerequisites ## format the Rust code
	@cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml

# PEERS=all, TRITON=PROGRAM and TEI=PROGRAM measure other servers beside it: docs/performance.md
.PHONY: bench
bench: build models ## measure the budgets, beside FastAPI: ARGS='[--write] [--overload|--many-models|--grpc|--tracing|--tensors]'
	@benches/run.sh $(ARGS)

# BINARY, GPU_LIBRARIES, MODELS, PYTHON and OTELCOL name what is there already: docs/performance-gpu.md
.PHONY: gpu-check
gpu-check: ## run every check that needs an NVIDIA card, and write docs/performance-gpu.md: ARGS=--rehearse walks it on the CPU
	@scripts/gpu/check.sh $(ARGS)

.PHONY: soak
soak: build models ## random shapes for 20 minutes, with flat memory: ARGS='--minutes 3', '--shapes', '--quota'
	@scripts/soak/run.sh $(RELEASE)/ml-inference-api $(ARGS)

.PHONY: instructions
instructions: prerequisites ## count the hot path's instructions under callgrind, fail on more: ARGS=--write renews
	@exec scripts/instructions/run.sh $(ARGS)

.PHONY: simulate
simulate: prerequisites ## simulate the scheduler: renew docs/performance/scheduler.md and its plots
	@INFERENCE_TEST_FIGURES=$(CURDIR)/docs/performance \
	    cargo test --release --locked --lib scheduler::tests::simulation

.PHONY: variants
variants: prerequisites ## compare int8, fused and FP16 variants of the text encoder
	@scripts/models/variants.sh $(ARGS)

.PHONY: conformance
conformance: build ## ask every ONNX operator case by JSON, binary and gRPC, bit for bit as ONNX Runtime
	@ORT_DYLIB_PATH=$(RELEASE)/libonnxruntime.so exec scripts/conformance/run.sh $(RELEASE)/ml-inference-api

.PHONY: describe
describe: build models ## let Schemathesis send thousands of requests made of the OpenAPI description: ARGS='[EXAMPLES [SEED]]'
	@ORT_DYLIB_PATH=$(RELEASE)/libonnxruntime.so exec scripts/openapi/run.sh $(RELEASE)/ml-inference-api $(ARGS)

.PHONY: e2e
e2e: build ## install, upgrade, scale and break the chart on a real Kubernetes control plane: ARGS='[--keep] [SCENARIO...]', --help
	@ML_INFERENCE_API=$(RELEASE)/ml-inference-api exec scripts/e2e/run.sh $(ARGS)

.PHONY: exports
exports: build ## serve real exports with no configuration and compare them with Python: ARGS='[--write] [NAME...]'
	@exec scripts/exports/run.sh $(RELEASE)/ml-inference-api $(ARGS)

# TARGET=cpu|openvino|cuda, MODELS=demo|none, ENGINE, TAG, BUILDER_BASE, RUNTIME_BASE, PROFILE: scripts/image/build.sh
.PHONY: image
image: ## build the container image with docker, podman or buildah, then run and prove it
	@scripts/image/build.sh $(TARGET)
	scripts/image/verify.sh $(TARGET)

.PHONY: chart
chart: prerequisites ## render k8s/, the golden files and the README of the Helm chart, and package it into target/chart
	@scripts/chart/make.sh

.PHONY: fuzz
fuzz: prerequisites ## fuzz what reads clients' bytes: ARGS='SECONDS [TARGET...]', 60 s for each target
	@fuzz/run.sh $(ARGS)

.PHONY: deny
deny: prerequisites ## check licences, sources, duplicates and advisories of the dependencies
	@command -v cargo-deny >/dev/null || {
	    echo "error: cargo-deny is not installed: run 'cargo install --locked cargo-deny', then 'make deny' again" >&2
	    exit 1
	}
	cargo deny --locked check bans licenses sources
	cargo deny --locked check advisories

.PHONY: clean
clean: ## remove what was built here (the shared cache of tools stays)
	@cargo clean
	rm -rf .tools

# The steps that others build on.

.PHONY: prerequisites
prerequisites:
	@scripts/tools/prerequisites.sh

.PHONY: runtime
runtime: prerequisites
	@scripts/tools/onnxruntime.sh $(RUNTIME) $(RELEASE)
	[[ $(RUNTIME) != cuda ]] || scripts/tools/cuda.sh $(RELEASE)
