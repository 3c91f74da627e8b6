//! Threads of a context: their number changes no logits, they live as long as it, and an aborted step ends on all of them.

use ggrun::engine::{BatchToken, DecodeError, Decoder as _, Pos, SeqId, SeqOp, Step, Token};
use ggrun::llama::{Abort, CacheType, ContextParams, Flash, LlamaDecoder, Weights};

use super::reuse::load;
use crate::support::tiny_gguf;

/// More than the 512 entries from which llama.cpp divides the KV cache of a single token among threads.
const PROMPT: usize = 600;

fn decoder(weights: &Weights, threads: u32) -> LlamaDecoder<'_> {
    let params = ContextParams {
        sequences: 1,
        context: 1024,
        batch: 128,
        ubatch: 128,
        threads,
        threads_batch: threads,
        cache_k: CacheType::F16,
        cache_v: CacheType::F16,
        flash: Flash::On,
        kv_offload: true,
        copies_from: Some(32),
        rope: ggrun::model::Rope::default(),
        abort: Abort::default(),
    };
    LlamaDecoder::new(weights, &params).unwrap()
}

/// Some tokens of a prompt, from a position on.
fn tokens(from: usize, count: usize) -> Vec<BatchToken> {
    let token = |index: usize| BatchToken {
        seq: SeqId(0),
        pos: Pos(u32::try_from(index).unwrap()),
        token: Token(3 + i32::try_from(index * 7 % 200).unwrap()),
        sample: true,
    };
    (from..from + count).map(token).collect()
}

/// Reads tokens in batches of a size and returns the bits of their logits.
fn read(decoder: &mut LlamaDecoder<'_>, tokens: &[BatchToken], batch: usize) -> Vec<Vec<u32>> {
    let mut logits = Vec::new();
    for batch in tokens.chunks(batch) {
        decoder
            .read_logits(batch, |_, found| logits.push(found.iter().map(|x| x.to_bits()).collect()))
            .unwrap();
    }
    logits
}

#[test]
fn logits_do_not_depend_on_the_number_of_threads() {
    let weights = load(&tiny_gguf());
    let logits = |threads: u32, prompt: usize| {
        let mut decoder = decoder(&weights, threads);
        let of_prompt = read(&mut decoder, &tokens(0, prompt), 128);
        (of_prompt, read(&mut decoder, &tokens(prompt, 8), 1))
    };
    let expected = logits(1, PROMPT);
    assert_eq!((expected.0.len(), expected.1.len()), (PROMPT, 8));
    // With more threads than processors, some of them sleep while others compute.
    for threads in [2, 3, 8] {
        assert!(logits(threads, PROMPT) == expected, "{threads} threads");
    }
    // So many threads wait for each other always.
    assert!(logits(60, 16) == logits(1, 16));
}

#[test]
fn an_aborted_step_of_several_threads_can_be_repeated() {
    let weights = load(&tiny_gguf());
    let (prompt, next) = (tokens(0, 64), tokens(64, 1));
    let mut undisturbed = decoder(&weights, 3);
    read(&mut undisturbed, &prompt, 64);
    let expected = read(&mut undisturbed, &next, 1);
    drop(undisturbed);
    let mut aborted = decoder(&weights, 3);
    let abort = aborted.abort();
    for _ in 0..20 {
        abort.raise();
        assert_eq!(aborted.read_logits(&prompt, |_, _| {}), Err(DecodeError::Aborted));
        abort.lower();
        aborted.step(&Step { ops: vec![SeqOp::Clear { seq: SeqId(0) }], tokens: vec![] }).unwrap();
    }
    read(&mut aborted, &prompt, 64);
    assert!(read(&mut aborted, &next, 1) == expected);
}

#[cfg(target_os = "linux")]
#[test]
fn threads_outlive_a_step_and_end_with_their_decoder() {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    // Threads inherit the name of the thread that starts them.
    const NAME: &str = "decoder-of-four";
    let named = || -> BTreeSet<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let name =
            |id: &str| std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
        tasks
            .filter_map(|task| task.file_name().into_string().ok())
            .filter(|id| name(id).trim() == NAME)
            .collect()
    };
    let work = move || {
        let weights = load(&tiny_gguf());
        assert_eq!(named().len(), 1);
        let mut decoder = decoder(&weights, 4);
        read(&mut decoder, &tokens(0, 32), 32);
        let after_prompt = named();
        assert_eq!(after_prompt.len(), 4);
        read(&mut decoder, &tokens(32, 4), 1);
        assert_eq!(named(), after_prompt);
        drop(decoder);
        // The system lists a thread for a moment after it was joined.
        let end = Instant::now() + Duration::from_mins(1);
        while named().len() > 1 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(named().len(), 1);
    };
    std::thread::Builder::new().name(NAME.to_owned()).spawn(work).unwrap().join().unwrap();
}
