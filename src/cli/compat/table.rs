//! Meanings of llama.cpp's spellings. Source: `common/arg.cpp` of b11434.

/// A spelling that is not in the definition for clap.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) names: &'static [&'static str],
    /// Commands that this applies to; all if empty.
    pub(super) commands: &'static [&'static str],
    pub(super) meaning: Meaning,
}

/// The meaning of a spelling.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is this option, if the command has it.
    Long(&'static str),
    /// It and its values have no effect.
    Nothing { values: usize, why: &'static str },
    /// It asks for something that is not supported.
    Refused { hint: &'static str },
}

use Meaning::{Long, Nothing, Refused};

const fn long(names: &'static [&'static str], long: &'static str) -> Spelling {
    Spelling { names, commands: &[], meaning: Long(long) }
}

const fn nothing(
    names: &'static [&'static str],
    commands: &'static [&'static str],
    why: &'static str,
) -> Spelling {
    Spelling { names, commands, meaning: Nothing { values: 0, why } }
}

const fn refused(
    names: &'static [&'static str],
    commands: &'static [&'static str],
    hint: &'static str,
) -> Spelling {
    Spelling { names, commands, meaning: Refused { hint } }
}

/// Commands that answer.
const ANSWER: &[&str] = &["run", "chat", "batch", "serve"];
/// Commands that load a model, or plan to.
const LOAD: &[&str] = &["run", "chat", "batch", "serve", "plan", "bench"];

/// The first match counts.
pub(super) const TABLE: &[Spelling] = &[
    long(&["-sys"], "--system-prompt"),
    long(&["-sysf"], "--system-prompt-file"),
    long(&["-ngl"], "--n-gpu-layers"),
    long(&["-np"], "--parallel"),
    long(&["-pg"], "--pg"),
    long(&["-ub"], "--ubatch-size"),
    long(&["-tb"], "--threads-batch"),
    long(&["-fa"], "--flash-attn"),
    long(&["-ctk"], "--cache-type-k"),
    long(&["-ctv"], "--cache-type-v"),
    long(&["-cram"], "--cache-ram"),
    long(&["-ot"], "--override-tensor"),
    long(&["-cmoe"], "--cpu-moe"),
    long(&["-ncmoe"], "--n-cpu-moe"),
    long(&["-dev"], "--device"),
    long(&["-lm"], "--load-mode"),
    long(&["-nr"], "--no-repack"),
    long(&["-ts"], "--tensor-split"),
    long(&["-sm"], "--split-mode"),
    long(&["-mg"], "--main-gpu"),
    long(&["-nkvo"], "--no-kv-offload"),
    long(&["-kvo"], "--kv-offload"),
    long(&["-nopo"], "--no-op-offload"),
    long(&["-fit"], "--fit"),
    long(&["-fitt"], "--fit-target"),
    long(&["-fitc"], "--fit-ctx"),
    long(&["-hf", "-hfr"], "--hf-repo"),
    long(&["-hff"], "--hf-file"),
    long(&["-st"], "--single-turn"),
    long(&["-rea"], "--reasoning"),
    long(&["-jf"], "--json-schema-file"),
    long(&["-co"], "--color"),
    long(&["-Cr"], "--cpu-range"),
    long(&["-no-cnv"], "--no-conversation"),
    long(&["-lv"], "--verbosity"),
    Spelling {
        names: &["--poll"],
        commands: LOAD,
        meaning: Nothing { values: 1, why: "threads wait for work as ggml does by default" },
    },
    nothing(&["-st", "--single-turn"], &["run"], "`ggrun run` answers one prompt and ends"),
    nothing(
        &["-cnv", "--conversation"],
        &["run"],
        "the chat template is applied anyway; `ggrun chat` holds a conversation",
    ),
    nothing(&["-cnv", "--conversation"], &["chat"], "`ggrun chat` is a conversation"),
    refused(
        &["-no-cnv", "--no-conversation"],
        &["chat", "batch", "serve"],
        "`ggrun run -no-cnv` continues a prompt as it is, without the chat template",
    ),
    nothing(&["--jinja"], ANSWER, "chat templates are always rendered as Jinja"),
    refused(&["--no-jinja"], ANSWER, "chat templates are always rendered as Jinja"),
    refused(
        &["--no-warmup"],
        &["bench"],
        "every test runs once before it is measured, so that the first one does not include the load",
    ),
    nothing(&["--no-warmup"], LOAD, "there is no warm-up run"),
    nothing(&["--warmup"], &["bench"], "every test runs once before it is measured"),
    refused(&["--warmup"], LOAD, "there is no warm-up run; the first answer is the slowest"),
    nothing(&["-cb", "--cont-batching"], &["serve"], "requests are always batched as they arrive"),
    refused(&["-nocb", "--no-cont-batching"], &["serve"], "`-np 1` answers one request at a time"),
    nothing(&["--ui", "--webui"], &["serve"], "the page at `/` is on unless `--no-ui` is set"),
    Spelling {
        names: &["--threads-http"],
        commands: &["serve"],
        meaning: Nothing { values: 1, why: "connections do not need a thread each" },
    },
    Spelling {
        names: &["--cache-reuse"],
        commands: &["serve"],
        meaning: Nothing {
            values: 1,
            why: "prompts always share their prefixes, and nothing after the first difference",
        },
    },
    refused(&["-to", "--timeout"], &["serve"], "`--write-timeout` limits how long a client may read nothing"),
    refused(
        &["--reasoning-format"],
        &["serve"],
        "reasoning is always returned apart from the content, in the form of each API",
    ),
    refused(&["--slot-save-path"], &["serve"], "`--state-dir` saves and restores states of conversations"),
    refused(&["--api-prefix"], &["serve"], "endpoints have no prefix"),
    refused(&["--props"], &["serve"], "properties cannot be changed while the server runs"),
    refused(
        &["--embedding", "--embeddings", "--rerank", "--reranking"],
        &["serve"],
        "embeddings and reranking are not supported",
    ),
    refused(&["-mm", "--mmproj", "--mmproj-url"], &["serve"], "images and audio are not supported"),
    refused(&["-kvu", "--kv-unified"], &["serve"], "each slot has an equal share of the context"),
    refused(&["--lora", "--lora-scaled"], &["serve"], "LoRA adapters are not supported"),
    nothing(&["--slots"], &["serve"], "`/slots` is answered unless `--no-slots` is set"),
    nothing(&["--no-context-shift"], LOAD, "the context is never shifted: an answer ends when it is full"),
    refused(
        &["--swa-full"],
        LOAD,
        "layers with a sliding window always cache only the window; `--cache-ram` saves states to continue from",
    ),
    refused(&["--context-shift"], LOAD, "an answer ends when the context is full; `-c` sets a larger one"),
    nothing(
        &["--simple-io"],
        &["run", "chat"],
        "a pipe and a terminal with TERM=dumb are written to without escape sequences anyway",
    ),
];
