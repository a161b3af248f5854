# Everything a person runs. Each target sets up what it needs; nothing has to be installed by hand
# but Python 3.11 or newer with its venv module.
.PHONY: demo test test-failed check spec test-cluster bench bench-gates bench-peers bench-detection bench-traffic setup format
SHELL := /bin/bash
# A start that compiles its libraries again takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

UV := $(or $(shell command -v uv 2>/dev/null),.venv-uv/bin/uv)
RUN := $(UV) run --frozen --all-extras --quiet
JOBS ?= 6

demo: setup            ## roll out a good version, roll back two bad ones, through a real Envoy
	@$(RUN) crossfade demo

test: setup            ## the whole suite that needs no root and no cluster
	$(RUN) pytest -n $(JOBS) --dist loadgroup $(TESTS)

test-failed: setup     ## what failed the last time, once more
	$(RUN) pytest -n 2 --dist loadgroup --last-failed --last-failed-no-failures none

spec: setup            ## the pure tests alone, with the coverage they promise
	$(RUN) pytest -q tests/spec tests/property --cov --cov-report=term-missing:skip-covered --cov-fail-under=100

check: setup           ## format, lint, types, layers, spelling, docs
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	$(RUN) codespell
	$(RUN) python tests/check_docs.py

test-cluster: setup    ## the live suite on a real Kubernetes and Prometheus (needs root and Go); KUBECONFIG=: on yours
	$(RUN) python -m tests.cluster $(OPTIONS)

bench: setup           ## speed and size, with their limits, as a table
	$(RUN) python -m benchmarks.speed

bench-gates: setup     ## the benchmarks that must hold in CI
	$(RUN) python -m benchmarks.speed --gates

bench-peers: setup     ## the scenes that were measured with Flagger and Argo Rollouts, with our side
	$(RUN) python -m benchmarks.peers

bench-detection: setup ## how soon bad versions are found, and how seldom good ones are taken back
	$(RUN) python -m benchmarks.detection $(if $(FULL),--full)

bench-traffic: setup   ## the same judge on real requests, thirty releases of three kinds (half an hour)
	$(RUN) python -m benchmarks.real_traffic

format: setup
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

setup: | $(UV)
	@$(UV) sync --frozen --all-extras --quiet

.venv-uv/bin/uv:
	@python3 -m venv .venv-uv
	@.venv-uv/bin/pip install --quiet --disable-pip-version-check "uv>=0.11,<0.14"
