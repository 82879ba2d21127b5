# Two commands set up everything on a machine that has Python 3.11 and make:
#   make demo   the main job, on a sample archive that it makes
#   make demo-cluster   its build on two workers, one of which is killed, with PostgreSQL, Redis and S3
#   make test   the whole test suite, with lint, types and the rules of the house
#   make test-fast   the unit tests alone, in a minute: no process, server, browser or database
# and `make docs` builds the documentation as a site.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

# Tests are compiled once, not by each worker of each run: that is half of the time of the unit tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-cluster test test-fast lint docs bench bench-peers ui lock audit clean

demo: $(READY)
	$(BIN)/factory demo --output demo

# The servers are Debian's: root installs what is missing, another user is told.
demo-cluster: $(READY)
	@for part in postgresql:/usr/lib/postgresql/*/bin/initdb redis-server:/usr/bin/redis-server; do \
		ls $${part#*:} >/dev/null 2>&1 || missing="$$missing $${part%%:*}"; \
	done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then \
		echo "Not installed:$$missing. Install as root: apt-get install$$missing"; exit 1; \
	fi
	$(BIN)/python -m factory_pipeline.cli.demo_cluster --archive demo/sample --output demo/cluster \
		--dagster-config deploy/dagster-celery.yaml

test: lint
	$(BIN)/pytest -n auto --dist worksteal

# Run while you work; a test that is not marked `integration` fails where it starts a process or a server.
test-fast: $(READY)
	$(BIN)/pytest -n auto --dist worksteal -m "not integration"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, in site/; a warning is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Some 25 minutes on two free cores, by the times of its parts; writes its tables into benchmarks/README.md, which says
# what is compared with what.
bench: $(READY)
	$(BIN)/python -m benchmarks

# The benchmarks that have peers, likewise, in an environment of its own with benchmarks/peers.txt (some 6 GB, as
# PyTorch is); what can't be installed is left out, and the table of peers says why. Two peers need PYTHON=python3.12.
bench-peers: .venv-peers/.ready
	.venv-peers/bin/python -m benchmarks --peers

.venv-peers/.ready: requirements.lock pyproject.toml benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	.venv-peers/bin/python -m benchmarks.peers
	touch $@

# Shows the demo's build where there is one, else an empty factory home; make ui PORT=8000 on another port.
PORT ?= 3000
ui: $(READY)
	FACTORY_HOME=$${FACTORY_HOME:-$(if $(wildcard demo/factory_home),demo/factory_home,factory_home)} $(BIN)/factory ui --port $(PORT)

# Writes requirements.lock again from pyproject.toml, with hashes and without any index's address.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-strip-extras --quiet --output-file requirements.lock

# Asks the database of known vulnerabilities about every pinned package; nothing of them is installed or run.
audit: $(READY)
	$(BIN)/uv tool run pip-audit@2.10.1 --require-hashes --disable-pip --strict --requirement requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "factory_pipeline needs Python 3.11 or newer; name it with make PYTHON=...")'
	@echo "Installing 1.8 GB of packages into .venv, which takes some minutes and prints nothing."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv .venv-peers demo site
