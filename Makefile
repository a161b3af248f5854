# Everything a person runs. Each target sets up what it needs; nothing has to be installed by hand
# but Python 3.11 or newer.
.PHONY: demo test check bench setup format
SHELL := /bin/bash
UV := $(shell command -v uv 2>/dev/null || echo .venv-uv/bin/uv)
RUN := $(UV) run --frozen --all-extras

$(UV):
	python3 -m venv .venv-uv && .venv-uv/bin/pip install --quiet uv

setup: | $(UV)
	@$(UV) sync --frozen --all-extras --quiet

check: setup
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) codespell

format: setup
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

test: setup
	$(RUN) pytest -n 4 --dist worksteal
