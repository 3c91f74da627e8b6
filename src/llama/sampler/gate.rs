//! Finds where in an answer the rules of a grammar begin to apply: at its start, or after a block. No tokens, only
//! text.

use crate::engine::Block;

/// Newlines that may come before the rules' text.
pub(super) const NEWLINES: usize = 4;

/// Follows an answer up to the text that the rules apply to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    phase: Phase,
    /// The tag of a block that may still come.
    open: Option<Vec<u8>>,
    close: Vec<u8>,
    headers: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Before the block or the header: the text so far.
    Before(Vec<u8>),
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
    /// It is part of the block or of a header, and so is all the text before it.
    Block,
    /// It ends the block or a header, and has text behind it that the rules were not asked about; or it is not a header.
    Spilled,
}

impl Gate {
    pub(super) fn new(block: Option<&Block>) -> Self {
        let Some(Block { open, close, headers }) = block else {
            return Self { phase: Phase::Rules, open: None, close: Vec::new(), headers: Vec::new() };
        };
        let bytes = |text: &String| text.as_bytes().to_vec();
        let phase = if open.is_none() { Phase::Inside(Vec::new()) } else { Phase::Before(Vec::new()) };
        let open = open.as_ref().map(bytes);
        Self { phase, open, close: bytes(close), headers: headers.iter().map(bytes).collect() }
    }

    /// Whether the rules alone decide everything that follows.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Rules
    }

    /// Whether the rules decide about some of the next tokens.
    pub(super) fn asks_rules(&self) -> bool {
        match self.phase {
            Phase::Rules => true,
            Phase::Before(_) => self.headers.is_empty(),
            Phase::Inside(_) => false,
        }
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
        let allowed = |is_allowed| if is_allowed { Verdict::Yes } else { Verdict::No };
        match &self.phase {
            Phase::Rules => Verdict::Rules,
            Phase::Inside(tail) => allowed(!ends && !self.spills(&[tail, text].concat())),
            Phase::Before(before) => {
                let all = [before, text].concat();
                let is_text = !ends && !text.is_empty();
                if is_text
                    && let Some(open) = &self.open
                    && may_become(&all, open)
                {
                    let inside = bare(&all).strip_prefix(open.as_slice());
                    return allowed(inside.is_none_or(|inside| !self.spills(inside)));
                }
                if self.headers.is_empty() {
                    return Verdict::Rules;
                }
                let fits = |header: &Vec<u8>| {
                    may_become(&all, header)
                        && bare(&all).strip_prefix(header.as_slice()).is_none_or(<[u8]>::is_empty)
                };
                allowed(is_text && self.headers.iter().any(fits))
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
            Phase::Before(before) => {
                before.extend(text);
                let all = before.clone();
                if let Some(open) = &self.open {
                    if let Some(inside) = bare(&all).strip_prefix(open.as_slice()) {
                        self.phase = Phase::Inside(inside.to_vec());
                        return self.close();
                    }
                    if may_become(&all, open) {
                        return if self.headers.is_empty() { Effect::Either } else { Effect::Block };
                    }
                }
                self.begin_rules(&all)
            }
        }
    }

    /// Begins the text of the rules after a header, or at once without headers.
    fn begin_rules(&mut self, text: &[u8]) -> Effect {
        let behind = |header: &Vec<u8>| bare(text).strip_prefix(header.as_slice());
        let effect = match self.headers.iter().find_map(behind) {
            _ if self.headers.is_empty() => Effect::Rules,
            Some([]) => Effect::Block,
            None if self.headers.iter().any(|header| may_become(text, header)) => return Effect::Block,
            Some(_) | None => Effect::Spilled,
        };
        self.phase = Phase::Rules;
        effect
    }

    /// Ends the block if its closing tag came.
    fn close(&mut self) -> Effect {
        let Phase::Inside(tail) = &self.phase else { return Effect::Block };
        if behind(tail, &self.close).is_some() {
            let spills = self.spills(tail);
            self.open = None;
            self.phase = if self.headers.is_empty() { Phase::Rules } else { Phase::Before(Vec::new()) };
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

/// Whether a text is a tag, apart from newlines before it and text behind it, or may become one.
fn may_become(text: &[u8], tag: &[u8]) -> bool {
    let bare = bare(text);
    text.len() - bare.len() <= NEWLINES && (tag.starts_with(bare) || bare.starts_with(tag))
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
        let (open, close) = (open.map(str::to_owned), "</think>".to_owned());
        Gate::new(Some(&Block { open, close, headers: Vec::new() }))
    }

    /// A gate before rules that apply after one of two headers.
    fn gate_with_headers(open: Option<&str>) -> Gate {
        let (open, close) = (open.map(str::to_owned), "</t>".to_owned());
        let headers = ["<final>", "<final json>"].map(str::to_owned).to_vec();
        Gate::new(Some(&Block { open, close, headers }))
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

    #[test]
    fn rules_apply_after_a_header_and_nothing_else_comes_before_it() {
        let open = Some("<t>");
        for (gate, texts, effects) in [
            (gate_with_headers(open), &["<final>", "{"][..], "br"),
            (gate_with_headers(open), &["<", "final", " json>", "{"], "bbbr"),
            (gate_with_headers(open), &["<t>", "<final>", "</t>", "\n<final", ">", "{"], "bbbbbr"),
            (gate_with_headers(None), &["hm</t>", "<final json>", "<t>"], "bbr"),
            (gate_with_headers(None), &["hm</t>", "<t>"], "bs"),
            (gate_with_headers(open), &["hm"], "s"),
            (gate_with_headers(open), &["<final>{"], "s"),
            (gate_with_headers(open), &["<final>\n", "{"], "sr"),
        ] {
            assert_eq!(follow(gate, texts), effects, "{texts:?}");
        }
        let (yes, no) = (Verdict::Yes, Verdict::No);
        for (open, before, text, verdict) in [
            (open, "", "<t>hm", yes),
            (open, "", "<final", yes),
            (open, "", "\n<final json>", yes),
            (open, "", "<final json>\n", no),
            (open, "", "<final>{", no),
            (open, "", "<other>", no),
            (open, "", "{", no),
            (open, "", "", no),
            (open, "<", "t>", yes),
            (open, "<final", " json>", yes),
            (open, "<final", " xml>", no),
            (None, "hm", "x", yes),
            (None, "hm</t>", "<final>", yes),
            (None, "hm</t>", "<t>", no),
        ] {
            let mut gate = gate_with_headers(open);
            gate.accept(before.as_bytes());
            assert_eq!(gate.allows(text.as_bytes(), false), verdict, "{before:?} {text:?}");
            assert_eq!(gate.allows(b"", true), no, "{before:?}");
        }
        let mut gate = gate_with_headers(open);
        gate.accept(b"<final>");
        assert_eq!((gate.allows(b"", true), gate.is_open()), (Verdict::Rules, true));
    }
}
