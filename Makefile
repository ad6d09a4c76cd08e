# `make run` and `make test` set up everything they need, state it, and run.
PYTHON ?= python3
VENV := .venv
PYLX := $(VENV)/bin/pylx
# make bench BENCH='--rows workload --contenders ptrace': see python -m bench.run --help
BENCH ?=
ARGS ?= /bin/bash -c 'echo "hello from $$(uname -sr) in process $$$$"; ls -ld / /proc/self'

# Debian packages: what the tests compile and run as guests.
APT_RUN := python3-venv
APT_TEST := gcc g++ libc6-dev musl-tools busybox-static gawk perl make git xz-utils gzip tar bash coreutils \
	findutils tmux procps golang-go sqlite3 python3 python3-venv rustc attr util-linux \
	redis-server redis-tools nginx-light apache2-utils curl postgresql gdb strace nodejs default-jdk-headless \
	cmake vim-tiny less openssh-server openssh-client \
	bubblewrap crun libseccomp2
APT_FULL := $(APT_TEST) qemu-user debootstrap
# What the workloads need, and the peers; node's own packages bring npm, Debian's does not.
APT_BENCH := gcc libc6-dev make cmake git tar gzip findutils util-linux $(if $(shell command -v npm),,npm) \
	strace proot qemu-user runsc bubblewrap

.PHONY: docs run test test-full fuzz lint setup setup-test setup-full bench clean

run: setup
	@$(PYLX) $(ARGS)

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tools/apt.sh $(APT_RUN)
	@echo "setting up $(VENV): pylx and its Python packages"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e .
	@$(VENV)/bin/python -m compileall -q translator syscalls
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	@echo "setting up $(VENV): ruff, mypy, pytest, hypothesis"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e '.[dev]'
	@touch $@

setup-test: $(VENV)/.ready-test
	@sh tools/apt.sh $(APT_TEST)

setup-full: $(VENV)/.ready-test
	@sh tools/apt.sh $(APT_FULL)

lint: $(VENV)/.ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --platform win32 -p translator.hosts.portable -m translator.machine -m translator.hosts.base
	$(VENV)/bin/mypy --platform darwin -p translator.hosts.portable -m translator.machine -m translator.hosts.base

test: setup-test lint
	$(VENV)/bin/python -m pytest -n auto tests

test-full: setup-full lint
	PYLX_TEST_SIZE=full $(VENV)/bin/python -m pytest -n auto tests

FUZZ_ARGS ?= --time 10m

fuzz: setup-test
	$(PYLX) fuzz $(FUZZ_ARGS)

# The pages that are generated from the declarations.
docs: setup
	$(PYLX) coverage --output docs/compatibility.md

bench: $(VENV)/.ready
	@sh tools/apt.sh $(APT_BENCH)
	@$(VENV)/bin/python -c 'import matplotlib' 2>/dev/null || $(VENV)/bin/python -m pip install --quiet \
		--disable-pip-version-check --config-settings editable_mode=compat -e '.[bench]'
	$(VENV)/bin/python -m bench.run $(BENCH)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
