//! Finds where in an answer the rules of a grammar begin to apply: at its start, or after a block. No tokens, only
//! text.

use crate::engine::Block;

/// Newlines that may come before the rules' text.
pub(super) const NEWLINES: usize = 4;

/// Follows an answer up to the text that the rules apply to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    phase: Phase,
    open: Vec<u8>,
    close: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The text so far may be the beginning of the opening tag.
    Opening(Vec<u8>),
    /// Inside the block; the end of its text, shorter than the closing tag.
    Inside(Vec<u8>),
    Rules,
}

/// Whether a text may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// If the rules allow it.
    Rules,
}

/// The effect of a text that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is the rules' text.
    Rules,
    /// It may be the rules' text, or the beginning of the opening tag.
    Either,
    /// It is part of the block, and so is all the text before it.
    Block,
    /// It ends the block, and has text behind its closing tag that the rules were not asked about.
    Spilled,
}

impl Gate {
    pub(super) fn new(block: Option<&Block>) -> Self {
        let bytes = |text: &str| text.as_bytes().to_vec();
        match block {
            None => Self { phase: Phase::Rules, open: Vec::new(), close: Vec::new() },
            Some(Block { open: None, close }) => {
                Self { phase: Phase::Inside(Vec::new()), open: Vec::new(), close: bytes(close) }
            }
            Some(Block { open: Some(open), close }) => {
                Self { phase: Phase::Opening(Vec::new()), open: bytes(open), close: bytes(close) }
            }
        }
    }

    /// Whether the rules alone decide everything that follows.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Rules
    }

    /// Whether the block has begun and not ended; inside it, everything except the end of the answer is allowed.
    pub(super) fn is_inside(&self) -> bool {
        matches!(self.phase, Phase::Inside(_))
    }

    /// Whether the text inside the block ends with a beginning of the closing tag.
    pub(super) fn is_closing(&self) -> bool {
        let Phase::Inside(tail) = &self.phase else { return false };
        (1..self.close.len()).any(|length| tail.ends_with(&self.close[..length]))
    }

    /// Whether a token with this text may come next; `ends` if it ends the answer.
    pub(super) fn allows(&self, text: &[u8], ends: bool) -> Verdict {
        match &self.phase {
            Phase::Rules => Verdict::Rules,
            Phase::Inside(_) if ends => Verdict::No,
            Phase::Inside(tail) => {
                if self.spills(&[tail, text].concat()) {
                    Verdict::No
                } else {
                    Verdict::Yes
                }
            }
            Phase::Opening(_) if ends => Verdict::Rules,
            Phase::Opening(before) => {
                let all = [before, text].concat();
                if text.is_empty() || !self.may_open(&all) {
                    return Verdict::Rules;
                }
                let inside = bare(&all).strip_prefix(self.open.as_slice());
                if inside.is_some_and(|inside| self.spills(inside)) { Verdict::No } else { Verdict::Yes }
            }
        }
    }

    /// Advances by the text of a token.
    pub(super) fn accept(&mut self, text: &[u8]) -> Effect {
        match &mut self.phase {
            Phase::Rules => Effect::Rules,
            Phase::Inside(tail) => {
                tail.extend(text);
                self.close()
            }
            Phase::Opening(before) => {
                before.extend(text);
                let all = before.clone();
                if let Some(inside) = bare(&all).strip_prefix(self.open.as_slice()) {
                    self.phase = Phase::Inside(inside.to_vec());
                    self.close()
                } else if self.may_open(&all) {
                    Effect::Either
                } else {
                    self.phase = Phase::Rules;
                    Effect::Rules
                }
            }
        }
    }

    /// Whether a text is, or may become, the beginning of a block.
    fn may_open(&self, text: &[u8]) -> bool {
        let bare = bare(text);
        text.len() - bare.len() <= NEWLINES && (self.open.starts_with(bare) || bare.starts_with(&self.open))
    }

    /// Ends the block if its closing tag came.
    fn close(&mut self) -> Effect {
        let Phase::Inside(tail) = &self.phase else { return Effect::Block };
        if behind(tail, &self.close).is_some() {
            let spills = self.spills(tail);
            self.phase = Phase::Rules;
            return if spills { Effect::Spilled } else { Effect::Block };
        }
        let surplus = tail.len().saturating_sub(self.close.len());
        self.phase = Phase::Inside(tail[surplus..].to_vec());
        Effect::Block
    }

    /// Whether more than newlines come behind the closing tag in a text of the block.
    fn spills(&self, text: &[u8]) -> bool {
        behind(text, &self.close).is_some_and(|rest| !bare(rest).is_empty())
    }
}

/// The text behind a tag.
fn behind<'a>(text: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(tag.len().max(1)).position(|window| window == tag)?;
    Some(&text[at + tag.len()..])
}

fn bare(text: &[u8]) -> &[u8] {
    let newlines = text.iter().take_while(|&&byte| byte == b'\n').count();
    &text[newlines..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(open: Option<&str>) -> Gate {
        Gate::new(Some(&Block { open: open.map(str::to_owned), close: "</think>".to_owned() }))
    }

    /// The effects of texts, one letter each.
    fn follow(mut gate: Gate, texts: &[&str]) -> String {
        let letter = |effect| match effect {
            Effect::Rules => 'r',
            Effect::Either => 'e',
            Effect::Block => 'b',
            Effect::Spilled => 's',
        };
        texts.iter().map(|text| letter(gate.accept(text.as_bytes()))).collect()
    }

    #[test]
    fn rules_apply_at_once_or_after_the_block_however_the_tags_are_cut() {
        let open = Some("<think>");
        for (gate, texts, effects) in [
            (Gate::new(None), &["<think>", "x"][..], "rr"),
            (gate(None), &["hm", "</think>", "{"], "bbr"),
            (gate(None), &["<think>hm</th", "ink>", "{"], "bbr"),
            (gate(open), &["{", "}"], "rr"),
            (gate(open), &["\n", "\n{", "</think>"], "err"),
            (gate(open), &["<think>", "{", "</think>", "{"], "bbbr"),
            (gate(open), &["\n<th", "ink>\nhm</think>", "{"], "ebr"),
            (gate(open), &["<", "t", "ool_call>"], "eer"),
            (gate(open), &["\n\n\n\n\n", "{"], "rr"),
            (gate(None), &["hm</think", ">{", "{"], "bsr"),
            (gate(None), &["hm</think", ">\n\n", "{"], "bbr"),
            (gate(open), &["<think></think>{", "{"], "sr"),
        ] {
            assert_eq!(follow(gate, texts), effects, "{texts:?}");
        }
    }

    #[test]
    fn an_answer_does_not_end_inside_the_block() {
        for open in [None, Some("<think>")] {
            let mut gate = gate(open);
            gate.accept(b"<think>hm");
            assert!(gate.is_inside());
            assert_eq!((gate.allows(b"", true), gate.allows(b"x", false)), (Verdict::No, Verdict::Yes));
            gate.accept(b"</think>");
            assert!(gate.is_open());
            assert_eq!(gate.allows(b"", true), Verdict::Rules);
        }
    }

    #[test]
    fn no_text_of_the_rules_comes_in_the_token_that_ends_the_block() {
        for open in [None, Some("<think>")] {
            let mut gate = gate(open);
            gate.accept(b"<think>hm");
            assert!(!gate.is_closing());
            gate.accept(b" </think");
            assert!(gate.is_closing());
            for (text, verdict) in [
                (">{", Verdict::No),
                (">\n{", Verdict::No),
                ("></think>", Verdict::No),
                (">", Verdict::Yes),
                (">\n\n", Verdict::Yes),
                ("{", Verdict::Yes),
            ] {
                assert_eq!(gate.allows(text.as_bytes(), false), verdict, "{text:?}");
            }
        }
        assert_eq!(gate(Some("<think>")).allows(b"<think></think>{", false), Verdict::No);
    }

    #[test]
    fn an_answer_without_a_block_is_held_to_the_rules_from_its_start() {
        let mut gate = gate(Some("<think>"));
        for (text, verdict) in [
            ("{", Verdict::Rules),
            ("hm", Verdict::Rules),
            ("</think>", Verdict::Rules),
            ("", Verdict::Rules),
            ("<think>x", Verdict::Yes),
            ("\n<th", Verdict::Yes),
            ("\n\n\n\n\n<", Verdict::Rules),
        ] {
            assert_eq!(gate.allows(text.as_bytes(), false), verdict, "{text:?}");
        }
        assert_eq!(gate.allows(b"", true), Verdict::Rules);
        gate.accept(b"<th");
        assert_eq!(gate.allows(b"ink>", false), Verdict::Yes);
        assert_eq!(gate.allows(b"x", false), Verdict::Rules);
    }
}
