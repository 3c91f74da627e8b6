//! The state cache around the scripted decoder: restarts, evictions, idleness, damage, shared folders.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::chat::{Message, Role, Template};
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{
    Caps, Decoder as _, Error, Limits, Markup, Namespace, SamplingParams, SpecialToken, Token, Usage, Vocab,
    channel, run,
};
use crate::session::{Chat, ChatEvent, ChatRequest, Session, TextRequest};
use crate::state::Identity;

const OURS: Identity = Identity { model: [1; 32], engine: [2; 32], settings: [3; 32] };
const NONE: Namespace = Namespace(0);
const MOST: Duration = Duration::from_mins(1);
/// Every message as its role and text; the reasoning of an answer is no part of later prompts.
const TEMPLATE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
    {% if add_generation_prompt %}<think>{% endif %}";
/// The answer to everything, without the token that ends it: reasoning and text.
const ANSWER: &str = "hm</think>yes";

/// Bytes, with line ends as special tokens: prompts can be shared up to them.
#[derive(Debug, Clone, Copy)]
struct Lines;

impl Vocab for Lines {
    fn size(&self) -> u32 {
        ByteVocab.size()
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        ByteVocab.tokenize(text, markup)
    }

    fn specials(&self) -> Vec<SpecialToken> {
        vec![SpecialToken { text: "\n".to_owned(), always: false }]
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        ByteVocab.write(token, out);
    }

    fn ends_answer(&self, token: Token) -> bool {
        ByteVocab.ends_answer(token)
    }
}

struct Server {
    cache: StateCache,
    session: Session,
    thread: JoinHandle<Result<(), Error>>,
}

impl Server {
    fn start(settings: Settings, can_trim: bool, slots: u32) -> Self {
        let caps =
            Caps { sequences: slots, context: 8192, batch: 512, can_trim, can_cache: true, can_copy: true };
        let cache = StateCache::open(settings).unwrap();
        let decoder = ScriptedDecoder::saying(caps, ANSWER);
        let (submitter, inbox) = channel(&decoder, &ByteVocab);
        inbox.on_eviction(cache.on_eviction());
        let limits = Limits { state_cache: 100_000, ..Limits::of(decoder.caps()) };
        let thread = thread::spawn(move || run(decoder, ByteVocab, &inbox, limits));
        let session = Session::new(submitter, Arc::new(Lines), Template::parse(TEMPLATE, "", "").unwrap());
        cache.connect(session.clone(), caps);
        let session = session.with_hooks(cache.hooks());
        Self { cache, session, thread }
    }

    /// Continues a text.
    fn complete(&self, namespace: Namespace, text: &str) -> Usage {
        let (prompt, sampling) = (text.to_owned().into(), SamplingParams::greedy());
        let request = TextRequest { prompt, sampling, max_tokens: None, stop: Vec::new() };
        end(self.session.within(namespace).complete(request).unwrap())
    }

    /// Answers the last message of a conversation.
    fn chat(&self, texts: &[&str]) -> Usage {
        let role = |at| if at % 2 == 0 { Role::User } else { Role::Assistant };
        let messages = texts.iter().enumerate().map(|(at, text)| Message::new(role(at), *text));
        let usage =
            end(self.session.chat(ChatRequest::new(messages.collect(), SamplingParams::greedy())).unwrap());
        // The thread has noted the turn once it takes this.
        self.cache.settle();
        usage
    }

    /// Ends without a drain, as a killed process does.
    fn end(self) {
        self.session.submitter().shutdown();
        self.thread.join().unwrap().unwrap();
    }

    fn drain(self) -> usize {
        let saved = self.cache.drain(MOST).unwrap();
        self.end();
        saved
    }

    /// Waits until this many states are saved.
    fn wait_for(&self, saved: u64) {
        let _deadline = Deadline::start();
        while self.cache.counters().get().states_saved < saved {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn settings(folder: &Path) -> Settings {
    // However full the disk of the machine is.
    Settings { reserve: 0, ..Settings::new(folder.to_owned(), OURS) }
}

fn end(chat: Chat) -> Usage {
    let _deadline = Deadline::start();
    for event in chat {
        match event {
            ChatEvent::Finished { usage, .. } => return usage.total,
            ChatEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    panic!("no end");
}

/// Some text of this length.
fn long(letter: &str, length: usize) -> String {
    letter.repeat(length)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.retain(|name| name != "lock");
    names
}

#[test]
fn a_conversation_continues_after_a_restart_and_nearly_nothing_is_read_again() {
    for can_trim in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let question = long("q", 6000);
        let server = Server::start(settings(folder.path()), can_trim, 2);
        assert_eq!(server.chat(&[&question]).reused_tokens, 0);
        assert_eq!(server.drain(), 1);
        let server = Server::start(settings(folder.path()), can_trim, 2);
        let usage = server.chat(&[&question, "yes", "b"]);
        let (reused, all) = (usage.reused_tokens as usize, usage.prompt_tokens as usize);
        assert!(reused * 100 >= all * 99, "{reused} of {all}");
        let counted = server.cache.counters().get();
        assert_eq!((counted.states_restored, counted.states_saved, counted.states_refused), (1, 0, 0));
        assert!(counted.bytes > 8 * 6000);
        // What it holds is known to be in the file, but for the new turn.
        assert_eq!(server.drain(), 0);
    }
}

#[test]
fn a_text_that_was_continued_is_saved_with_its_continuation() {
    let folder = tempfile::tempdir().unwrap();
    let text = long("t", 2000);
    let server = Server::start(settings(folder.path()), false, 1);
    server.complete(NONE, &text);
    assert_eq!(server.drain(), 1);
    let server = Server::start(settings(folder.path()), false, 1);
    let usage = server.complete(NONE, &format!("{text}{ANSWER} and more"));
    assert_eq!(usage.reused_tokens as usize, text.len() + ANSWER.len());
    server.end();
}

#[test]
fn a_sequence_is_saved_before_it_is_overwritten_and_restored_when_its_conversation_continues() {
    for can_trim in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (question, other) = (long("q", 4000), long("o", 4000));
        let server = Server::start(settings(folder.path()), can_trim, 1);
        server.chat(&[&question]);
        server.chat(&[&other]);
        server.wait_for(1);
        let usage = server.chat(&[&question, "yes", "b"]);
        assert!(usage.read_tokens() < 50, "{usage:?}");
        assert_eq!(server.cache.counters().get().states_restored, 1);
        server.wait_for(2);
        server.end();
    }
}

#[test]
fn an_idle_sequence_is_saved_once() {
    let folder = tempfile::tempdir().unwrap();
    let idle = Duration::from_millis(20);
    let server = Server::start(Settings { idle, ..settings(folder.path()) }, false, 2);
    let question = long("q", 4000);
    server.chat(&[&question]);
    server.complete(NONE, &long("x", 1000));
    server.wait_for(1);
    thread::sleep(idle * 10);
    assert_eq!(server.cache.counters().get().states_saved, 1, "it has not changed, and the other is short");
    // The sequence is still there.
    assert!(server.chat(&[&question, "yes", "b"]).read_tokens() < 50);
    assert_eq!(server.cache.counters().get().states_restored, 0);
    server.end();
}

#[test]
fn an_idle_sequence_is_saved_however_often_the_thread_is_asked_for_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let idle = Duration::from_millis(20);
    let server = Server::start(Settings { idle, ..settings(folder.path()) }, true, 1);
    server.complete(NONE, &long("x", 2000));
    let _deadline = Deadline::start();
    while server.cache.counters().get().states_saved == 0 {
        server.cache.settle();
    }
    server.end();
}

#[test]
fn a_state_that_is_replaced_makes_way_before_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings { budget: 40_000, ..settings(folder.path()) }, true, 1);
    let save = |text: &str| {
        server.complete(NONE, text);
        assert_eq!(server.cache.drain(MOST), Some(1));
        names(folder.path())
    };
    let other = save(&long("a", 2000));
    let text = long("b", 2000);
    assert_eq!(save(&text).len(), 2);
    let left = save(&format!("{text}{ANSWER}{}", long("c", 600)));
    assert!(left.len() == 2 && left.contains(&other[0]), "{other:?} {left:?}");
    let bytes: u64 = left.iter().map(|name| fs::metadata(folder.path().join(name)).unwrap().len()).sum();
    assert_eq!(server.cache.counters().get().bytes, bytes);
    server.end();
}

#[test]
fn a_longer_state_replaces_those_that_it_continues() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(settings(folder.path()), false, 1);
    let mut text = String::new();
    for letter in ["a", "b", "c"] {
        text += &long(letter, 1500);
        server.complete(NONE, &text);
        assert_eq!(server.cache.drain(MOST), Some(1));
        assert_eq!(names(folder.path()).len(), 1);
        text += ANSWER;
    }
    server.end();
}

#[test]
fn no_namespace_finds_states_of_another_in_memory_or_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let text = long("t", 2000);
    let more = format!("{text}{ANSWER} and more");
    let server = Server::start(settings(folder.path()), false, 4);
    for namespace in [Namespace(1), Namespace(2), NONE] {
        assert_eq!(server.complete(namespace, &text).reused_tokens, 0);
    }
    assert_eq!(server.drain(), 3);
    let server = Server::start(settings(folder.path()), false, 4);
    assert_eq!(server.complete(Namespace(3), &more).reused_tokens, 0);
    for namespace in [Namespace(1), Namespace(2), NONE] {
        assert_eq!(server.complete(namespace, &more).reused_tokens as usize, text.len() + ANSWER.len());
    }
    assert_eq!(server.cache.counters().get().states_restored, 3);
    server.end();
}

#[test]
fn damaged_torn_and_foreign_files_are_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let text = long("t", 2000);
    let more = format!("{text}{ANSWER} and more");
    let server = Server::start(settings(folder.path()), true, 1);
    server.complete(NONE, &text);
    server.drain();
    let name = names(folder.path()).pop().unwrap();
    let path = folder.path().join(&name);
    let whole = fs::read(&path).unwrap();
    let fresh = |damaged: &[u8]| {
        fs::write(&path, damaged).unwrap();
        let server = Server::start(settings(folder.path()), true, 1);
        let reused = server.complete(NONE, &more).reused_tokens;
        let counted = server.cache.counters().get();
        server.end();
        (reused, counted.states_restored, counted.states_refused)
    };
    assert_eq!(fresh(&whole), (2013, 1, 0));
    for at in [130, 9000, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        assert_eq!(fresh(&flipped), (0, 0, u64::from(at > 8 * 1024)), "bit at {at}");
        assert_eq!(path.exists(), at == 130, "a state of other tokens is left");
    }
    for length in [0, 1, 127, 128, 5000, whole.len() - 1] {
        assert_eq!(fresh(&whole[..length]), (0, 0, 1), "{length} bytes");
        assert!(!path.exists());
    }
    // Of another model, another engine, another version.
    for (at, is_left) in [(16, true), (48, true), (80, true), (8, true), (0, true)] {
        let mut foreign = whole.clone();
        foreign[at] ^= 1;
        assert_eq!(fresh(&foreign), (0, 0, 0), "byte {at}");
        assert_eq!(path.exists(), is_left);
    }
    assert_eq!(fresh(&whole), (2013, 1, 0));
}

#[test]
fn processes_that_share_a_folder_stay_within_the_budget_and_use_the_states_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    // A state of 2013 tokens has about 16 KiB.
    let shared = |budget| Settings { budget, ..settings(folder.path()) };
    let servers = [Server::start(shared(40_000), true, 1), Server::start(shared(40_000), true, 1)];
    for letter in ["a", "b", "c", "d"] {
        for (server, prefix) in servers.iter().zip(["x", "y"]) {
            server.complete(NONE, &(prefix.to_owned() + &long(letter, 2000)));
            assert_eq!(server.cache.drain(MOST), Some(1));
            let held: u64 = names(folder.path())
                .iter()
                .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
                .sum();
            assert!(held <= 40_000, "{held}");
        }
    }
    assert_eq!(names(folder.path()).len(), 2);
    // The first finds what the second wrote, without a restart.
    let more = format!("y{}{ANSWER} and more", long("d", 2000));
    assert_eq!(servers[0].complete(NONE, &more).reused_tokens as usize, 2001 + ANSWER.len());
    assert_eq!(servers[0].cache.counters().get().states_restored, 1);
    for server in servers {
        server.end();
    }
    // A budget that holds no state.
    let server = Server::start(shared(1000), true, 1);
    server.complete(NONE, &long("e", 2000));
    assert_eq!(server.drain(), 0);
}

#[test]
fn files_are_private_and_the_least_recently_used_one_is_removed() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("states");
    let settings = Settings { budget: 36_000, ..settings(&path) };
    let server = Server::start(settings.clone(), true, 1);
    let of = |letter: &str| format!("{}{ANSWER} and more", long(letter, 2000));
    let age = |names: &[String], age: u64| {
        for name in names {
            let file = fs::File::options().append(true).open(path.join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
    };
    server.complete(NONE, &long("a", 2000));
    assert_eq!(server.cache.drain(MOST), Some(1));
    let first = names(&path);
    server.complete(NONE, &long("b", 2000));
    assert_eq!(server.cache.drain(MOST), Some(1));
    for name in names(&path) {
        assert_eq!(fs::metadata(path.join(name)).unwrap().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    age(&names(&path), 50);
    age(&first, 100);
    server.end();
    // Restoring the older one makes it the one that stays.
    let server = Server::start(settings, true, 1);
    assert_eq!(server.complete(NONE, &of("a")).reused_tokens as usize, 2013);
    server.complete(NONE, &long("c", 2000));
    assert_eq!(server.cache.drain(MOST), Some(1));
    assert!(names(&path).contains(&first[0]));
    assert_eq!(names(&path).len(), 2);
    server.end();
}

/// Names the folder to [`victim`].
const VICTIM: &str = "GGRUN_TEST_STATES";

/// Not a test in itself: the process that [`a_process_killed_at_any_moment_leaves_only_whole_states`] kills.
#[test]
fn victim() {
    let Ok(folder) = std::env::var(VICTIM) else { return };
    let settings = Settings { budget: 300_000, ..settings(Path::new(&folder)) };
    let server = Server::start(settings, true, 1);
    let mut text = std::process::id().to_string();
    while text.len() < 8000 {
        text += &long("x", 700);
        server.complete(NONE, &text);
        assert!(server.cache.drain(MOST).is_some());
        text += ANSWER;
    }
    // The parent waits for this, too.
    fs::write(Path::new(&folder).with_extension("ended"), "").unwrap();
    server.end();
}

#[test]
fn a_process_killed_at_any_moment_leaves_only_whole_states() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, ended) = (parent.path().join("states"), parent.path().join("states.ended"));
    let unfinished = || {
        fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with(".ggrun-"))
    };
    let mut interrupted = 0;
    for kill in 0u64..100 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["state_cache::tests::victim", "--exact", "--test-threads", "1"]).env(VICTIM, &folder);
        let mut child = child.stdout(std::process::Stdio::null()).spawn().unwrap();
        let _deadline = Deadline::start();
        // Every other time while a file is written, otherwise at any moment.
        let begun = std::time::Instant::now();
        let moment = Duration::from_millis(kill * 7 % 97);
        while !ended.exists()
            && !(if kill % 2 == 0 { unfinished().is_some() } else { begun.elapsed() > moment })
        {
            thread::sleep(Duration::from_micros(100));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(fs::remove_file(&ended));
        interrupted += u32::from(unfinished().is_some());
        for name in names(&folder).iter().filter(|name| Path::new(name).extension() == Some("state".as_ref()))
        {
            crate::state::read(&folder.join(name), &OURS).unwrap();
        }
    }
    assert!(interrupted > 0, "some file was being written");
    let server = Server::start(settings(&folder), true, 1);
    assert!(unfinished().is_none());
    assert_eq!(server.cache.counters().get().states_refused, 0);
    server.end();
}
