//! What merges make of the tokens themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::file::Merge;

/// A token that merges do not make out of its characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmade<'f> {
    /// There is no such token: looking up whole words changes nothing.
    None,
    /// The text of the first such token.
    Token(&'f str),
    /// A merge of texts that are not tokens, or into one.
    Unknown(&'f str),
}

/// Finds the first token of `vocab` that merging its characters does not give, apart from those with ids in `added`, which
/// are matched before a text is split.
pub(super) fn first_unmade<'f>(
    vocab: &'f [(String, u64)],
    merges: &'f [Merge],
    mut added: Vec<u64>,
) -> Unmade<'f> {
    added.sort_unstable();
    let mut texts: Vec<(&str, usize)> =
        vocab.iter().enumerate().map(|(i, (text, _))| (text.as_str(), i)).collect();
    texts.sort_unstable();
    let find = |text: &str| texts.binary_search_by_key(&text, |(text, _)| text).ok().map(|at| texts[at].1);
    let mut pairs = Vec::with_capacity(merges.len());
    for (rank, Merge(merge)) in merges.iter().enumerate() {
        let parts =
            merge.split_once(' ').and_then(|(a, b)| Some((find(a)?, find(b)?, find(&format!("{a}{b}"))?)));
        let Some((left, right, made)) = parts else { return Unmade::Unknown(merge) };
        pairs.push(Pair { parts: (left, right), rank, made });
    }
    pairs.sort_unstable_by_key(|pair| (pair.parts, pair.rank));
    for (i, (text, id)) in vocab.iter().enumerate() {
        if added.binary_search(id).is_ok() {
            continue;
        }
        let characters = text.char_indices().map(|(at, c)| find(&text[at..at + c.len_utf8()]));
        let made = characters.collect::<Option<Vec<usize>>>().and_then(|symbols| merged(symbols, &pairs));
        if made != Some(i) {
            return Unmade::Token(text);
        }
    }
    Unmade::None
}

/// A merge, with tokens by their place in the vocabulary.
struct Pair {
    parts: (usize, usize),
    rank: usize,
    made: usize,
}

/// The token that merging all symbols gives, if they become one. The lowest rank is merged first, then the leftmost.
fn merged(mut symbols: Vec<usize>, pairs: &[Pair]) -> Option<usize> {
    /// The place of a symbol that was merged into the one before it.
    const GONE: usize = usize::MAX;
    let end = symbols.len();
    let mut next: Vec<usize> = (1..=end).collect();
    let mut previous: Vec<usize> = (0..end).map(|at| at.wrapping_sub(1)).collect();
    let find = |parts: (usize, usize)| {
        let at = pairs.partition_point(|pair| pair.parts < parts);
        pairs.get(at).filter(|pair| pair.parts == parts)
    };
    let candidate = |at: usize, left: usize, right: usize| {
        find((left, right)).map(|pair| Reverse((pair.rank, at, left, right, pair.made)))
    };
    let mut heap: BinaryHeap<_> =
        symbols.windows(2).enumerate().filter_map(|(at, two)| candidate(at, two[0], two[1])).collect();
    let mut count = end;
    while let Some(Reverse((_, at, left, right, made))) = heap.pop() {
        let after = next[at];
        if symbols[at] != left || after == end || symbols[after] != right {
            continue;
        }
        symbols[at] = made;
        symbols[after] = GONE;
        next[at] = next[after];
        if next[at] < end {
            previous[next[at]] = at;
            heap.extend(candidate(at, made, symbols[next[at]]));
        }
        if at > 0 {
            heap.extend(candidate(previous[at], symbols[previous[at]], made));
        }
        count -= 1;
    }
    (count == 1).then(|| symbols[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Merges by trying all neighbors again after each merge.
    fn naive(text: &str, merges: &[(String, String)]) -> Vec<String> {
        let mut parts: Vec<String> = text.chars().map(String::from).collect();
        loop {
            let ranked = parts.windows(2).enumerate().filter_map(|(at, two)| {
                let rank = merges.iter().position(|(a, b)| *a == two[0] && *b == two[1])?;
                Some((rank, at))
            });
            let Some((_, at)) = ranked.min() else { return parts };
            let right = parts.remove(at + 1);
            parts[at].push_str(&right);
        }
    }

    fn tokens(texts: &[&str]) -> Vec<(String, u64)> {
        texts.iter().map(|text| (*text).to_owned()).zip(0..).collect()
    }

    #[test]
    fn a_token_that_other_merges_take_apart_is_not_made() {
        let vocab = tokens(&["a", "b", "c", "ab", "bc", "abc"]);
        let merges = |texts: &[&str]| texts.iter().map(|text| Merge((*text).to_owned())).collect::<Vec<_>>();
        let made = merges(&["a b", "b c", "ab c"]);
        assert_eq!(first_unmade(&vocab, &made, vec![]), Unmade::None);
        let apart = merges(&["b c", "a b", "ab c"]);
        assert_eq!(first_unmade(&vocab, &apart, vec![]), Unmade::Token("abc"));
        assert_eq!(first_unmade(&vocab, &apart, vec![5, 1]), Unmade::None);
        let unknown = merges(&["a b", "c a"]);
        assert_eq!(first_unmade(&vocab, &unknown, vec![]), Unmade::Unknown("c a"));
        assert_eq!(first_unmade(&tokens(&["aé"]), &[], vec![]), Unmade::Token("aé"));
    }

    proptest! {
        #[test]
        fn merging_agrees_with_the_naive_version(
            pairs in proptest::collection::vec((0usize..64, 0usize..64), 0..24),
            extra in proptest::collection::vec("[abc]{2,9}", 0..4),
        ) {
            let mut texts: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
            let mut merges = Vec::new();
            for (left, right) in pairs {
                let (left, right) = (texts[left % texts.len()].clone(), texts[right % texts.len()].clone());
                let made = format!("{left}{right}");
                if made.len() <= 24 {
                    merges.push((left, right));
                    if !texts.contains(&made) {
                        texts.push(made);
                    }
                }
            }
            for text in extra {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            let vocab: Vec<(String, u64)> = texts.iter().cloned().zip(0..).collect();
            let list: Vec<Merge> = merges.iter().map(|(a, b)| Merge(format!("{a} {b}"))).collect();
            let expected = texts.iter().find(|text| naive(text, &merges).len() != 1);
            let found = match first_unmade(&vocab, &list, vec![]) {
                Unmade::None => None,
                Unmade::Token(text) => Some(text),
                Unmade::Unknown(merge) => panic!("{merge}"),
            };
            prop_assert_eq!(found, expected.map(String::as_str));
        }
    }
}
