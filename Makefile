# The tasks of a checkout. Each installs what it needs first (scripts/packages); nothing else has to be prepared.
#
#   make demo    builds a real application with kiln, step by step, with an explanation of each
#   make test    format, lints, documentation, unit and end-to-end tests: what CI runs
#   make audit   known vulnerabilities of the dependencies (needs the network)
#   make bench   kiln and the builders that are installed, on the same work in turns
#   make fuzz    random inputs for parser, lowering, expansion, ignore files and archives, each for FUZZ_SECONDS (30)
#   make build   the release binary
#   make images  the base images of demo, tests and benchmark
#   make clean   removes what these made

CARGO ?= cargo
IMAGES := target/base-images
# .cargo/config.toml names the target, so the binary stands below its name.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
KILN = target/$(HOST)/release/kiln
# End-to-end tests and benchmark make namespaces and other users' files: as an ordinary user they run through sudo.
ifneq ($(shell id -u),0)
export CARGO_TARGET_$(shell echo $(HOST) | tr a-z- A-Z_)_RUNNER = sudo -E
endif

.PHONY: all demo test lint deny audit bench fuzz build images set-up clean

all: build

set-up:
	@scripts/set-up

build: set-up
	$(CARGO) build --release --locked --package kiln

images: set-up
	@scripts/base-images $(IMAGES)

demo: build images
	@scripts/demo $(KILN)

test: lint deny images
	$(CARGO) test --workspace --locked --no-fail-fast

lint: set-up
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

# Without cargo-deny the tidy test still checks the licences, against the list in deny.toml.
deny: set-up
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --all-features check bans licenses sources; \
	else \
		echo "deny: cargo-deny is not installed (cargo install --locked cargo-deny): bans and sources are not checked"; \
	fi

# Needs cargo-deny and the network.
audit:
	$(CARGO) deny --all-features check advisories

bench: images
	$(CARGO) bench --locked --package kiln --bench peers
	$(CARGO) bench --locked --package kiln-parser --bench parse

# Needs a nightly toolchain, and installs cargo-fuzz: not a part of test.
fuzz: set-up
	@fuzz/run

clean:
	$(CARGO) clean
