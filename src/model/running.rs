//! An engine on a thread of its own.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::placement::Placement;
use super::threads::{share_by_speed, try_start};
use super::{LoadError, LoadOptions};
use crate::engine::{self, Abort, Caps, Decoder, Limits, OnEviction, Submitter, channel};
use crate::llama::{ContextParams, LlamaDecoder, LoadFailure, Weights};

/// A running engine. Dropping it fails every open request and waits for the thread to end.
#[derive(Debug)]
pub struct Running {
    submitter: Submitter,
    caps: Caps,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Hands requests to it.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }

    /// The capabilities of its decoder.
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

pub(super) fn spawn(
    weights: Weights,
    options: &LoadOptions,
    placement: &Placement,
    on_eviction: Option<OnEviction>,
) -> Result<Running, LoadError> {
    let params = context_params(options, placement, Abort::default());
    let &LoadOptions { prefill_budget, state_cache, deterministic, .. } = options;
    let limits = move |caps| Limits { prefill_budget, state_cache, deterministic, ..Limits::of(caps) };
    let (ready, readiness) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || serve(&weights, &params, limits, on_eviction, &ready))
        .map_err(LoadError::Thread)?;
    let (submitter, caps) = readiness.recv().map_err(|_| LoadError::Died)??;
    Ok(Running { submitter, caps, thread: Some(thread) })
}

/// The parameters of the context for a model's options.
pub(super) fn context_params(options: &LoadOptions, placement: &Placement, abort: Abort) -> ContextParams {
    ContextParams {
        sequences: options.parallel.max(1),
        context: placement.context,
        batch: placement.batch,
        ubatch: placement.ubatch,
        threads: options.threads,
        threads_batch: options.threads_batch.unwrap_or(options.threads),
        cache_k: options.cache_k,
        cache_v: options.cache_v,
        flash: options.flash,
        kv_offload: options.kv_offload,
        copies_from: placement.prefill.as_ref().and_then(|prefill| prefill.copies_from),
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
    share_by_speed();
    let decoder = LlamaDecoder::new(weights, params).map_err(failed)?;
    // After the context, which takes most of the memory that is left.
    let count = params.threads.max(params.threads_batch);
    try_start(count).map_err(|source| LoadError::Threads { count, source })?;
    Ok(decoder)
}

/// The engine's thread: makes a context that borrows the weights, reports the result, and runs the loop.
fn serve(
    weights: &Weights,
    params: &ContextParams,
    limits: impl FnOnce(Caps) -> Limits,
    on_eviction: Option<OnEviction>,
    ready: &SyncSender<Result<(Submitter, Caps), LoadError>>,
) {
    let decoder = match decoder(weights, params) {
        Ok(decoder) => decoder,
        Err(error) => {
            // `spawn` waits for this.
            drop(ready.send(Err(error)));
            return;
        }
    };
    let (caps, vocab) = (decoder.caps(), weights.vocab());
    let (submitter, inbox) = channel(&decoder, &vocab);
    if let Some(callback) = on_eviction {
        inbox.on_eviction(callback);
    }
    if ready.send(Ok((submitter, caps))).is_err() {
        return;
    }
    if let Err(error) = engine::run(decoder, vocab, &inbox, limits(caps)) {
        tracing::error!(%error, "the engine ended");
    }
}
