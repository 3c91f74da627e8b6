//! Which states of sequences are saved to disk and restored, so that prompts are not read again after a restart.
