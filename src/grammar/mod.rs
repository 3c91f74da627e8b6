//! Grammars and JSON schemas without an engine: both are read and bounded here, on the thread of the caller, and schemas
//! are compiled by llguidance. GBNF is compiled by llama.cpp.

mod compile;
mod gbnf;
mod matcher;
mod schema;
mod vocabulary;

pub(crate) use compile::{Invalid, Source};
pub(crate) use gbnf::Gbnf;
pub(crate) use matcher::Matcher;
pub(crate) use schema::describes;
pub(crate) use vocabulary::{Vocabulary, Word};

#[cfg(test)]
pub(crate) mod corpus;
#[cfg(test)]
mod tests;
