//! `/v1/responses`: its requests, its events, its bodies. Stateless: every request has the whole conversation.

mod events;
mod input;
mod item;
mod request;
#[cfg(test)]
mod tests;
mod tools;

pub use events::{Events, ResponseHead};
pub use request::{AskedResponse, read};
