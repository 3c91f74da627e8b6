//! An engine at work on its thread.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::{LoadError, LoadOptions};
use crate::engine::{self, Caps, Decoder, Inbox, Limits, Submitter, channel};
use crate::llama::{Abort, ContextParams, LlamaDecoder, LoadFailure, Weights};

/// A running engine. Dropping it fails what is open and waits for the thread to end.
#[derive(Debug)]
pub struct Running {
    submitter: Submitter,
    caps: Caps,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The way to hand it requests.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }

    /// What its decoder can do.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.caps
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.submitter.shutdown();
        if let Some(thread) = self.thread.take() {
            // A panic was caught and has failed every request already.
            drop(thread.join());
        }
    }
}

pub(super) fn spawn(weights: Weights, options: &LoadOptions, context: u32) -> Result<Running, LoadError> {
    let (submitter, inbox) = channel();
    let params = context_params(options, context, Abort::of(inbox.hurry()));
    let (state_cache, deterministic) = (options.state_cache, options.deterministic);
    let (ready, readiness) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            serve(
                &weights,
                &params,
                |caps| Limits { state_cache, deterministic, ..Limits::of(caps) },
                &inbox,
                &ready,
            );
        })
        .map_err(LoadError::Thread)?;
    let caps = readiness.recv().map_err(|_| LoadError::Died)??;
    Ok(Running { submitter, caps, thread: Some(thread) })
}

/// The context that a model's options ask for.
pub(super) fn context_params(options: &LoadOptions, context: u32, abort: Abort) -> ContextParams {
    ContextParams {
        sequences: options.parallel.max(1),
        context,
        batch: options.batch,
        ubatch: options.ubatch,
        threads: options.threads,
        threads_batch: options.threads_batch.unwrap_or(options.threads),
        cache_k: options.cache_k,
        cache_v: options.cache_v,
        flash: options.flash,
        kv_offload: options.kv_offload,
        rope: options.rope,
        abort,
    }
}

/// A context for a model's weights.
pub(super) fn decoder<'w>(
    weights: &'w Weights,
    params: &ContextParams,
) -> Result<LlamaDecoder<'w>, LoadError> {
    let &ContextParams { sequences, context, .. } = params;
    let failed = |failure: LoadFailure| LoadError::Context { sequences, context, log: failure.log };
    LlamaDecoder::new(weights, params).map_err(failed)
}

/// The thread's life: a context that borrows the weights, told to be ready, then the loop.
fn serve(
    weights: &Weights,
    params: &ContextParams,
    limits: impl FnOnce(Caps) -> Limits,
    inbox: &Inbox,
    ready: &SyncSender<Result<Caps, LoadError>>,
) {
    let decoder = match decoder(weights, params) {
        Ok(decoder) => decoder,
        Err(error) => {
            // Whoever asked waits for this and for nothing else.
            drop(ready.send(Err(error)));
            return;
        }
    };
    let caps = decoder.caps();
    if ready.send(Ok(caps)).is_err() {
        return;
    }
    if let Err(error) = engine::run(decoder, weights.vocab(), inbox, limits(caps)) {
        tracing::error!(%error, "the engine ended");
    }
}
