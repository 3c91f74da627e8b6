//! A thread with a known stack, on which templates are parsed and rendered.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Bytes of the stack, of which only those in use take memory. Enough for the deepest template and values within
/// [`super::bound`].
const STACK: usize = 64 << 20;

/// Calls a function on a thread with this stack.
pub(super) fn with_stack<T: Send>(function: impl FnOnce() -> T + Send) -> io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().name("template".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, function)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
