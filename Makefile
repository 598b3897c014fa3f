# What this repository can do, for people and for CI alike: `make` lists it.

# A Python of 3.11 or later to make the venv with; without it, the first of these that will do.
PYTHON =
PYTHONS = $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
PORT = 8888
DB = mysql
TOPIC =
TESTS =
MINUTES = 10
RUNS = 10000
SHARDS =

VENV = .venv
BIN = $(VENV)/bin
PYTEST = pytest -n 2 --dist loadfile

# program:package, for each program that is not Python's
SERVERS = redis-server:redis-server mariadbd:mariadb-server
BROWSER = chromium:chromium chromedriver:chromium-driver

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo demo-full test test-long test-package test-lowest test-newest chaos simulate lint api docs bench \
    clean programs

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-demo ## run the demo app with nothing else to install; PORT=8888
	@$(BIN)/python -m demo_app --port $(PORT)

demo-full: programs $(VENV)/.installed-all ## run it in two processes on private Redis and MariaDB; PORT=8888 DB=mysql|mysql+tornado
	@$(BIN)/python -m demo_app.full --port $(PORT) --database $(DB)

test: programs lint ## check style and types, and run every test
	$(BIN)/$(PYTEST)

test-long: programs $(VENV)/.installed-dev ## look for faults of sessions at random, for longer; MINUTES=10
	SESSION_MACHINE_MINUTES=$(MINUTES) $(BIN)/pytest tests/sessions/test_machine.py

test-package: $(VENV)/.installed-dev ## build it as for a release, and install it with each extra alone
	$(BIN)/pytest tests/package.py

test-lowest: ## run the tests on the lowest dependencies that are allowed; TESTS=tests/mysql
test-newest: ## and on the newest
test-lowest test-newest: test-%: programs build/venv-%/.installed
	build/venv-$*/bin/$(PYTEST) $(TESTS)

chaos: programs $(VENV)/.installed-dev ## break Redis shards under load in all ways, for 8 minutes; SHARDS=a,b,c for each
	$(BIN)/python -m tests.chaos $(if $(SHARDS),--shards $(SHARDS))

simulate: $(VENV)/.installed-dev ## look for faults of the sharded sessions in simulated time; RUNS=100000
	$(BIN)/python -m tests.sessions.simulation $(RUNS)

lint: $(VENV)/.installed-dev ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

api: $(VENV)/.installed-dev ## write down the public names and their arguments, after a change that is meant
	$(BIN)/python -m tests.api

docs: $(VENV)/.installed-docs ## build the documentation into build/docs
	@$(BIN)/sphinx-build -W --keep-going -q -E -b html docs build/docs
	@$(BIN)/python docs/_site/check.py build/docs
	@echo "build/docs/index.html"

bench: programs $(VENV)/.installed-bench ## measure speed and memory, next to peers; TOPIC=memory
	@$(BIN)/python -m benchmarks $(TOPIC)

clean: ## remove the venv and everything that was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# The venv has the extra %, installed from what pyproject.toml says now.
$(VENV)/.installed-%: pyproject.toml $(VENV)/.made
	@echo "Installing tornado-ext[$*] into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@

# A venv for tests alone, whose dependencies are the lowest that pyproject.toml allows, or the newest.
build/venv-%/.installed: pyproject.toml $(VENV)/.made
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(BIN)/python -m tests.lowest $* >$(@D)/constraints.txt
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check -c $(@D)/constraints.txt --editable '.[dev]'
	@touch $@

# Made again if it was interrupted: bin/python is there long before pip is.
$(VENV)/.made:
	@found=; \
	for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    found=$${found:-$$python}; \
	    $$python -c 'import venv, ensurepip' 2>/dev/null || continue; \
	    $$python -m venv --clear $(VENV) && exec touch $@; \
	    exit 1; \
	done; \
	if [ -n "$$found" ]; then \
	    echo "$$found has no venv; on Debian: apt-get install python3-venv"; \
	else \
	    echo "Python 3.11 or later is needed, and none of these is: $(PYTHONS)"; \
	fi >&2; \
	exit 1

# Install the missing ones of PROGRAMS. Debian starts a server that it installs: stop that one, for
# the demo and the tests start servers of their own.
demo-full bench: PROGRAMS = $(SERVERS)
test test-lowest test-newest: PROGRAMS = $(SERVERS) nginx:nginx $(BROWSER)
test-long: PROGRAMS = $(SERVERS)
chaos: PROGRAMS = redis-server:redis-server
programs:
	@missing=; PATH="$$PATH:/usr/sbin"; \
	for program in $(PROGRAMS); do \
	    command -v $${program%:*} >/dev/null || missing="$$missing $${program#*:}"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	install="apt-get install -y --no-install-recommends$$missing"; \
	if ! command -v apt-get >/dev/null; then echo "Install these first:$$missing" >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo=sudo; \
	else echo "Run this first: sudo apt-get update && sudo $$install" >&2; exit 1; fi; \
	$$sudo apt-get update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive $$install || exit 1; \
	for service in redis-server mariadb nginx; do \
	    case "$$missing" in *$$service*) $$sudo service $$service stop || true;; esac; \
	done
