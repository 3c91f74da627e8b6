//! Conversations as files, which `ggrun chat` and the page of `ggrun serve` share.
