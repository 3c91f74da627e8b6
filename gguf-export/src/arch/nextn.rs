//! MTP layers that follow those of the trunk, under the next number.

use super::layout::Builder;
use super::target::Map;

/// The prefix of the first layer after the trunk.
pub(super) fn prefixes(out: &Builder<'_>) -> Vec<String> {
    vec![prefix(out, 0)]
}

/// The prefixes of as many layers after the trunk as the configuration states.
pub(super) fn stated_prefixes(out: &Builder<'_>) -> Vec<String> {
    (0..out.h.nextn).map(|index| prefix(out, index)).collect()
}

fn prefix(out: &Builder<'_>, index: u64) -> String {
    format!("{}layers.{}.", out.names.trunk, out.h.layers.len() as u64 + index)
}

/// Adds what joins the layer to the trunk, and its own embedding and head if it has them.
pub(super) fn modules(out: &mut Builder<'_>, block: &str, prefix: &str) {
    let h = out.h;
    out.linear(&format!("{block}.nextn.eh_proj"), &format!("{prefix}eh_proj"), h.hidden, 2 * h.hidden, false);
    for (name, module) in [("embed_tokens", "embed_tokens"), ("shared_head_head", "shared_head.head")] {
        let module = format!("{prefix}{module}");
        if (out.has)(&module) {
            out.linear(&format!("{block}.nextn.{name}"), &module, h.vocab, h.hidden, false);
        }
    }
    for (name, module) in [("enorm", "enorm"), ("hnorm", "hnorm"), ("shared_head_norm", "shared_head.norm")] {
        let name = format!("{block}.nextn.{name}.weight");
        out.vector(&name, &format!("{prefix}{module}"), h.hidden, Map::Identity);
    }
}
