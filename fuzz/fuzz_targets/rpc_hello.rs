//! Reads any bytes as the first messages of llama.cpp's RPC: a client's greeting as it arrives, and a worker's answer.

#![no_main]

#[path = "../../src/llama/rpc/message.rs"]
#[allow(dead_code, reason = "the target reads only")]
mod message;

use message::{GREETING, Greeting};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut other = false;
    for end in 0..=data.len().min(GREETING + 8) {
        let found = Greeting::of(&data[..end]);
        assert!(!other || found == Greeting::Other, "more bytes made other bytes a greeting");
        assert!(found != Greeting::Whole || end >= GREETING);
        other |= found == Greeting::Other;
    }
    if let Some((head, content)) = data.split_first_chunk()
        && message::is_answer(*head)
        && let Some(content) = content.first_chunk()
    {
        let [major, minor] = message::version(content);
        assert_eq!(&message::answer([major, minor, content[2]])[..11], &data[..11]);
    }
});
