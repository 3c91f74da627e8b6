# make demo    convert the bundled checkpoint, verify it, and ask it three questions
# make test    run the tests
# make check   run everything that CI runs; CONTRIBUTING.md lists the steps
# Missing system packages are installed first, and their names printed.

.PHONY: demo check setup tidy fmt deny fuzz lint doc test

demo: setup
	cargo run --release -- demo

check:
	.ci/run

setup:
	@scripts/setup $(SETUP)

tidy: setup
	mkdir -p target
	CARGO_MANIFEST_DIR='$(CURDIR)' rustc --test --edition 2024 tests/tidy.rs -o target/tidy
	target/tidy

fmt:
	$(call component,fmt,rustfmt)
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

deny:
	@if cargo deny --version >/dev/null 2>&1; then \
	    set -x; cargo deny check --hide-inclusion-graph bans licenses sources; \
	else \
	    echo 'skipped: cargo-deny is not installed'; \
	fi

# A workspace of its own, without llama.cpp.
fuzz: setup
	cargo check --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

lint: setup
	$(call component,clippy,clippy)
	cargo clippy --workspace --all-targets -- -D warnings

doc: setup
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

test: setup
	$(if $(VULKAN),scripts/test-vulkan,@echo 'skipped: tests/vulkan; scripts/test-vulkan builds with Vulkan and runs them')
	scripts/test-page
	cargo test --workspace

# Set once scripts/test-vulkan has built llama.cpp.
VULKAN := $(wildcard $(or $(CARGO_TARGET_DIR),target)/debug/build/llama-cpp-sys-2-*/out/lib/libggml-vulkan.a)

# Installs a component that rustup's minimal profile lacks.
define component
@cargo $(1) --version >/dev/null 2>&1 || rustup component add $(2) || \
    { echo 'error: `cargo $(1)` is missing; install it with `rustup component add $(2)`' >&2; exit 1; }
endef
