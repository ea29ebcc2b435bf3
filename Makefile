# The one door: a thin front for scripts/, meson and the test runner. `make help` lists it.

PYTHON ?= /usr/bin/python3
MESON ?= meson
NINJA ?= ninja
# Test to run with `make test`: part of a unit test's name, of a test function's, or a pytest -k word.
NAME ?=
# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 20
AUDIT_MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help bootstrap build run demo check test asan tsan clang lint audit fuzz deb bench format clean

help: ## List what this Makefile does.
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

bootstrap: ## Install the Debian packages that are missing.
	@scripts/bootstrap

build/build.ninja: | bootstrap
	CC=gcc $(MESON) setup build

build: bootstrap build/build.ninja ## Build the program and the example services in build/.
	@$(NINJA) -C build

run: build ## Start a cloud in ./cloud with two example services and stay up until Ctrl-C.
	@exec scripts/run

demo: build ## Make real calls through a cloud, check statement against ledger, and leave nothing.
	@exec scripts/demo

check: bootstrap ## Run every test suite; the last line is the sum.
	@exec $(PYTHON) tests/support/run_checks

test: build ## Run one test by name: make test NAME=amount.
	@exec $(PYTHON) tests/support/run_checks --name '$(NAME)'

asan: bootstrap ## Run the unit tests under the address and undefined behaviour sanitizers.
	@exec $(PYTHON) tests/support/run_checks --suite asan

tsan: bootstrap ## Run threaded unit tests and a cloud under load under the thread sanitizer.
	@exec $(PYTHON) tests/support/run_checks --suite tsan

lint: build ## Run clang-tidy and cppcheck over the program; what was clean and is unchanged is remembered.
	@exec $(PYTHON) tests/support/run_checks --suite lint

clang: bootstrap ## Build with clang in build-clang/.
	@exec $(PYTHON) tests/support/run_checks --suite clang

audit: build ## Audit random clouds against an independent model of all money for AUDIT_MINUTES (10).
	@exec $(PYTHON) tests/audit --minutes $(AUDIT_MINUTES)

fuzz: bootstrap ## Fuzz each parser for FUZZ_SECONDS (20), starting from its corpus.
	@exec tests/fuzz/run $(FUZZ_SECONDS)

deb: bootstrap ## Build the Debian package in build/.
	@exec scripts/deb

bench: ## Measure Stoa beside nginx and HAProxy; writes docs/benchmarks.md.
	@scripts/bootstrap --bench
	@$(MAKE) --no-print-directory build
	@exec $(PYTHON) tests/bench/run

format: bootstrap ## Format all C files with clang-format.
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## Remove the build folders; ./cloud stays.
	rm -rf build build-clang build-asan build-tsan build-fuzz build-deb
