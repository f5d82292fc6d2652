SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# Says what begins, and how long it took.
stage := tests/stage

# The suites but the end-to-end one, whose tests wait more than they work and are run side by side.
smaller := --test accounts --test control_plane --test simulator_oracle

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: doctor
doctor: ## Check that everything that is needed is there
	@tests/doctor

.PHONY: build
build: ## Build the operator (target/debug/cortecs-operator)
	cargo build --locked -p cortecs-operator

.PHONY: simulator
simulator: ## Build the simulated API (target/debug/cortecs-simulator)
	cargo build --locked -p cortecs-simulator

.PHONY: test
test: doctor ## Run everything: format, lint, unit tests, suites against a real API server, demo
	@began=$$SECONDS
	$(stage) "1/8 format" cargo fmt --all --check
	$(stage) "2/8 lint" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	$(stage) "3/8 control plane (10 to 15 minutes the first time)" tests/control-plane/control-plane binaries
	$(stage) "4/8 control plane's own tests" $(MAKE) --no-print-directory helper
	$(stage) "5/8 build of the tests" cargo test --quiet --locked --workspace --all-targets --no-run
	$(stage) "6/8 demo" deploy/demo
	$(stage) "7/8 unit and property tests, and the smaller suites" $(MAKE) --no-print-directory unit SUITES='$(smaller)'
	$(stage) "8/8 end to end" cargo test --locked --no-fail-fast --workspace --test e2e -- --test-threads 10
	printf 'make test: all passed in %d s\n' "$$((SECONDS - began))"

.PHONY: lint
lint: ## Check the format, and lint with warnings as errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: unit
unit: ## Run the unit and property tests, and the examples of the API's client
	cargo test --locked --no-fail-fast --workspace --lib --bins --test purity --test structure $(SUITES)
	cargo test --locked --workspace --doc --quiet

.PHONY: model
model: ## Explore the start protocol in full; MODEL_ONLY=WORD, MODEL_STATES=N (cuts), MODEL_THREADS=N
	cargo test --locked -p cortecs-rules --lib --config 'profile.dev.package.cortecs-rules.opt-level=2' -- \
		--ignored --exact --nocapture instance::tests::model::runs::the_protocol_holds_within_the_full_bounds

.PHONY: suites
suites: control-plane ## Run the suites: against a real API server, and of the simulator against cortecs-py
	cargo test --locked --no-fail-fast --workspace $(smaller)
	cargo test --locked --no-fail-fast --workspace --test e2e -- --test-threads 10

.PHONY: chaos
chaos: control-plane ## Kill and pause the operator while everything goes wrong, for half an hour: CHAOS_KILLS, CHAOS_RESOURCES, CHAOS_SEED
	@export CHAOS_KILLS="$${CHAOS_KILLS:-520}" CHAOS_RESOURCES="$${CHAOS_RESOURCES:-48}"
	cargo test --locked --workspace --test e2e chaos::chaos -- --exact --nocapture

.PHONY: control-plane
control-plane: ## Find or build the control plane's binaries (10 to 15 minutes the first time)
	tests/control-plane/control-plane binaries

.PHONY: helper
helper: ## Run the tests of the control plane's supervisor
	cd tests/control-plane && GOWORK=off go vet ./helper && GOWORK=off go test ./helper

FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: ## Feed hostile input to what takes it, each target for FUZZ_SECONDS (60): needs cargo-fuzz; FUZZ_TARGETS="NAME …"
	@if ! cargo fuzz --version >/dev/null 2>&1; then
		echo "make fuzz needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2
		exit 1
	fi
	if ! command -v "$${CXX:-c++}" >/dev/null; then
		echo "make fuzz needs a C++ compiler: the package g++ or clang of your system" >&2
		exit 1
	fi
	cargo fuzz build --sanitizer none
	for target in $(or $(FUZZ_TARGETS),$$(cargo fuzz list)); do
		mkdir -p "fuzz/corpus/$$target"
		echo "fuzz: $$target for $(FUZZ_SECONDS) s"
		cargo fuzz run --sanitizer none "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -print_final_stats=1
	done

.PHONY: crds
crds: ## Write crds/ from the types in crates/resources
	@target=$$(mktemp -d)
	trap 'rm -rf "$$target"' EXIT
	cargo build --quiet --locked
	cargo run --quiet --locked -- crds >"$$target/all"
	awk -v dir="$$target" '/^---$$/ { n++; next } { print > (dir "/" n + 0 ".yaml") }' "$$target/all"
	for file in "$$target"/*.yaml; do
		plural=$$(awk '$$1 == "plural:" { print $$2; exit }' "$$file")
		cp "$$file" "crds/$$plural.yaml"
		echo "crds/$$plural.yaml"
	done
	cp crds/*.yaml deploy/helm/cortecs-operator/files/crds/

.PHONY: chart-files
chart-files: ## Write what is made of the chart and crds/: its README, its definitions, deploy/install.yaml
	deploy/helm/generate

.PHONY: chart
chart: ## Test the Helm chart against a real API server, with Helm 3 and Helm 4
	@tests/doctor chart
	tests/chart/check

.PHONY: image
image: ## Build the operator's image without a daemon: target/image/cortecs-operator.tar; NAME=NAME:TAG
	deploy/image/build $(NAME)

.PHONY: image-check
image-check: ## Build the image here and in another place, compare, and look into it
	@tests/doctor image
	tests/image/check

.PHONY: sbom
sbom: ## Write what the image is made of as SPDX: target/image/sbom.spdx.json; needs cargo-sbom
	deploy/image/sbom

.PHONY: deny
deny: ## Check licences, bans, sources and advisories of the dependencies; DENY="licenses bans sources" without the advisories' download
	@if ! cargo deny --version >/dev/null 2>&1; then
		echo "make deny needs cargo-deny: cargo install cargo-deny --locked" >&2
		exit 1
	fi
	for manifest in Cargo.toml deploy/image/roots/Cargo.toml; do
		cargo deny --config "$$PWD/deny.toml" --manifest-path "$$manifest" --workspace --locked --log-level error check $(DENY)
	done

.PHONY: e2e
e2e: ## Install the operator on a real node and kill, upgrade and reinstall it there: as root
	@tests/doctor cluster
	tests/in-cluster/check

.PHONY: demo
demo: ## Show the operator at work on this machine; KEEP=1 stays up until Ctrl-C
	@tests/doctor demo
	deploy/demo $(if $(filter-out 0,$(KEEP)),--keep)

.PHONY: clean
clean: ## Remove what was built here (the control plane's binaries are in the user's cache)
	cargo clean
