//! Writes tiny checkpoints for tests, with code of its own.
