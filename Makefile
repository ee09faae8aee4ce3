# bearwrap. `make help` lists the targets.
#
# PYTHON=/usr/bin/python3   the interpreter to build for (3.11 or newer)
# PREFIX=/usr/local DESTDIR=  where `make install` puts things
# TESTS=tests/building         what `make test` runs; ARGS= goes to pytest as it is
# BEARSSL=system            link the system's libbearssl instead of the vendored one
# BEARSSL_ARCHIVE=PATH      take BearSSL's source from a local archive
# LIBCRYPTO=no SODIUM=no NETTLE=no   do not use OpenSSL's libcrypto; libsodium; nettle and GMP
# DEBUG=1                   address and undefined-behaviour sanitizers
# FORM=auto                 how the programs embed Python, see build-aux/README.md; FORM=script for `make install`

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
PREFIX ?= /usr/local
VENV := build/venv
VPY := $(VENV)/bin/python
FORM ?= auto
export BEARSSL_ARCHIVE
# A failing step of a pipe fails its target.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

OPTIONS := $(if $(filter system,$(BEARSSL)),--use-system-bearssl) \
	$(if $(filter no,$(LIBCRYPTO)),--without-libcrypto) $(if $(filter no,$(SODIUM)),--without-sodium) \
	$(if $(filter no,$(NETTLE)),--without-nettle) $(if $(DEBUG),--debug) \
	--form $(if $(filter script,$(FORM)),auto,$(FORM))
INSTALL := $(VPY) build-aux/install.py --prefix "$(PREFIX)" $(if $(DESTDIR),--destdir "$(DESTDIR)") \
	$(if $(filter script,$(FORM)),--script)

# A peer that cannot be had skips its tests loudly; in CI it fails them.
ifeq ($(CI),true)
export BEARWRAP_REQUIRE_PEERS := 1
endif

.PHONY: all build setup test demo demo-serve bench soak fuzz order lint dist install uninstall vendor-check clean distclean help
.PHONY: packages-test packages-demo packages-bench
all: build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16
	@sed -n '/^# PYTHON=/,/^$$/s/^# /  /p' $(firstword $(MAKEFILE_LIST))

build: $(VENV)/.ready ## build the extension and the programs in place (the default)
	@$(VPY) build-aux/inplace.py $(OPTIONS)

setup: ## install the system packages that a build needs (as root), else name them
	@build-aux/packages.sh build fast

test: packages-test ## set everything up and run the tests; TESTS=... selects
	@$(MAKE) --no-print-directory build
	@$(VPY) -m pytest -n 4 $(ARGS) $(TESTS)

demo: packages-demo ## set everything up and show one wrapped web server at work
	@$(MAKE) --no-print-directory build
	@$(VPY) build-aux/demo.py

demo-serve: packages-demo ## the same, and leave the server running until interrupted
	@$(MAKE) --no-print-directory build
	@$(VPY) build-aux/demo.py --serve

bench: packages-bench ## measure beside the original tlswrapper, stunnel, hitch and an OpenSSL client
	@$(MAKE) --no-print-directory build
	@$(VPY) bench/bench.py $(ARGS)

soak: packages-bench ## 10,000 connections in sequence: nothing is left, nothing grows
	@$(MAKE) --no-print-directory build
	@$(VPY) bench/soak.py $(ARGS)

fuzz: $(VENV)/.ready ## 200,000 wrong inputs for each parser, 1,000 wrong connections a role: no crash, hang or leak
	@$(MAKE) --no-print-directory build
	@$(if $(DEBUG),LD_PRELOAD=$$($(or $(CC),cc) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc) \
		$(VPY) -m fuzz $(if $(DEBUG),--any-memory --connections 0) $(ARGS)

order: $(VENV)/.ready ## as root, on x86-64: find anew what a connection runs, build-aux/order.list
	@$(MAKE) --no-print-directory build
	@$(VPY) build-aux/order.py
	@$(MAKE) --no-print-directory build

lint: $(VENV)/.ready ## ruff and mypy
	@$(VPY) -m ruff check .
	@$(VPY) -m mypy

dist: build ## make the sdist and a wheel in dist/, and try both in fresh environments
	@$(VPY) build-aux/dist.py

install: build ## install the programs, manual pages and the jail directory below DESTDIR and PREFIX
	@$(INSTALL)

uninstall: $(VENV)/.ready ## take them away again
	@$(INSTALL) --uninstall

vendor-check: ## compare the unpacked BearSSL with its locked archive
	@$(PYTHON) vendor/bearssl/fetch.py
	@$(PYTHON) vendor/bearssl/fetch.py --check

clean: ## remove what was built, but keep the virtual environment and BearSSL's source
	@rm -rf bearwrap/*.so dist *.egg-info
	@find build -mindepth 1 -maxdepth 1 ! -name venv -exec rm -rf {} + 2>/dev/null || true
	@find bearwrap tests build-aux -name __pycache__ -type d -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## remove everything that is not in the repository
	@rm -rf build vendor/bearssl/source vendor/bearssl/source.* vendor/bearssl/archive
	@rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache

packages-test:
	@build-aux/packages.sh build fast demo test

packages-bench:
	@build-aux/packages.sh build fast bench

packages-demo:
	@build-aux/packages.sh build fast demo

$(VENV)/.ready: build-aux/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@echo "venv: build/venv"
	@test -x $(VPY) || $(PYTHON) -m venv $(VENV) || { build-aux/packages.sh build; rm -rf $(VENV); exit 1; }
	@$(VPY) -m pip install -q --disable-pip-version-check -r $< 2>&1 | { grep -v '^WARNING: Location' || true; }
	@touch $@
