# make demo   the whole way on the bundled model
# make test   all tests
# Both install the system packages that are missing, and say which.

.PHONY: demo test setup

demo: setup
	cargo run --release -- demo

test: setup
	cargo test --workspace

setup:
	@scripts/setup
