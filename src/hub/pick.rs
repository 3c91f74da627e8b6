//! Which file of a repository is meant by `REPO`, `REPO:QUANT` or a file's name: pure, over a list of names.
//!
//! Names say the encoding last, before the number of a part: `Model-Q4_K_M-00001-of-00003.gguf`.

use std::collections::BTreeMap;

/// What is taken where nothing is asked for, in this order.
const USUAL: [&str; 3] = ["Q4_K_M", "Q4_0", "Q8_0"];
/// Beginnings of names of files that are GGUFs and no models: projectors, draft layers, statistics.
const COMPANIONS: [&str; 3] = ["mmproj", "mtp-", "imatrix"];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// Whatever is usual.
    Usual,
    /// An encoding, in any case: `q4_k_m`, `UD-Q4_K_XL`.
    Quant(&'a str),
    /// A file, by its name in the repository; of a split model any part.
    File(&'a str),
}

/// Why no file is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPick {
    /// There is no model in the repository.
    #[error("the repository has no GGUF with a model")]
    Empty,
    /// Nothing has that name or encoding.
    #[error("the repository has no {asked}; it has {}", .there.join(", "))]
    Missing {
        /// What was asked for.
        asked: String,
        /// The first files of the models there are.
        there: Vec<String>,
    },
    /// More than one may be meant.
    #[error("{asked} may be any of {}", .fitting.join(", "))]
    Several {
        /// What was asked for.
        asked: String,
        /// The first files of those that fit.
        fitting: Vec<String>,
    },
    /// A part of a split model is not there.
    #[error("the repository lacks part {part} of {count} of `{first}`")]
    Part {
        /// The first part's name.
        first: String,
        /// The part, from 1.
        part: u32,
        /// How many there should be.
        count: u32,
    },
}

/// The files of the model that is meant, all parts in their order.
///
/// # Errors
///
/// When none or several are meant, or a part is missing.
pub fn pick<'a>(files: impl IntoIterator<Item = &'a str>, wish: Wish<'_>) -> Result<Vec<String>, NoPick> {
    let models = models(files);
    let firsts = |of: &[&Model<'_>]| of.iter().map(|model| model.first()).collect::<Vec<_>>();
    let all: Vec<&Model<'_>> = models.iter().filter(|model| !model.is_companion()).collect();
    let chosen = match wish {
        Wish::File(name) => {
            let has = |model: &&Model<'_>| model.parts.values().any(|part| *part == name);
            let asked = || format!("`{name}`");
            models.iter().find(has).ok_or_else(|| NoPick::Missing { asked: asked(), there: firsts(&all) })?
        }
        Wish::Quant(quant) => one(&all, quant)?
            .ok_or_else(|| NoPick::Missing { asked: format!("model of `{quant}`"), there: firsts(&all) })?,
        Wish::Usual => {
            let mut usual = None;
            for quant in USUAL {
                usual = usual.or(one(&all, quant)?);
            }
            match (usual, &all[..]) {
                (Some(model), _) => model,
                (None, [model]) => *model,
                (None, []) => return Err(NoPick::Empty),
                (None, _) => {
                    let asked = "a repository without an encoding".to_owned();
                    return Err(NoPick::Several { asked, fitting: firsts(&all) });
                }
            }
        }
    };
    chosen.whole()
}

/// The one model of an encoding. Where one has it as a whole word and others with something of a maker's before it
/// (`UD-`), the plain one is meant.
fn one<'m, 'a>(all: &[&'m Model<'a>], quant: &str) -> Result<Option<&'m Model<'a>>, NoPick> {
    let mut fitting: Vec<&Model<'_>> = all.iter().copied().filter(|model| model.is_of(quant)).collect();
    if fitting.iter().any(|model| !model.is_of(&format!("UD-{quant}"))) {
        fitting.retain(|model| !model.is_of(&format!("UD-{quant}")));
    }
    match fitting[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(NoPick::Several {
            asked: format!("`{quant}`"),
            fitting: fitting.iter().map(|model| model.first()).collect(),
        }),
    }
}

/// A model in one file or several.
#[derive(Debug, PartialEq, Eq)]
struct Model<'a> {
    /// The name without folders, number and ending.
    stem: &'a str,
    /// How many parts there should be.
    count: u32,
    /// Names by number, from 1.
    parts: BTreeMap<u32, &'a str>,
}

impl Model<'_> {
    fn first(&self) -> String {
        self.parts.values().next().map(|name| (*name).to_owned()).unwrap_or_default()
    }

    fn is_companion(&self) -> bool {
        let stem = self.stem.to_ascii_lowercase();
        COMPANIONS.iter().any(|name| stem.starts_with(name)) || stem.ends_with("imatrix")
    }

    /// Whether the name ends in an encoding, as a word of its own.
    fn is_of(&self, quant: &str) -> bool {
        let (stem, quant) = (self.stem.to_ascii_lowercase(), quant.to_ascii_lowercase());
        let before = stem.strip_suffix(&quant);
        !quant.is_empty() && before.is_some_and(|text| text.is_empty() || text.ends_with(['-', '.']))
    }

    fn whole(&self) -> Result<Vec<String>, NoPick> {
        match (1..=self.count).find(|part| !self.parts.contains_key(part)) {
            Some(part) => Err(NoPick::Part { first: self.first(), part, count: self.count }),
            None => Ok(self.parts.values().map(|name| (*name).to_owned()).collect()),
        }
    }
}

fn models<'a>(files: impl IntoIterator<Item = &'a str>) -> Vec<Model<'a>> {
    let mut found: BTreeMap<(&str, u32), Model<'a>> = BTreeMap::new();
    for file in files {
        let Some(cut) = file.len().checked_sub(5).filter(|cut| file.is_char_boundary(*cut)) else { continue };
        if !file[cut..].eq_ignore_ascii_case(".gguf") {
            continue;
        }
        let (whole, part, count) = split(&file[..cut]).unwrap_or((&file[..cut], 1, 1));
        let stem = whole.rsplit('/').next().unwrap_or(whole);
        let model =
            found.entry((whole, count)).or_insert_with(|| Model { stem, count, parts: BTreeMap::new() });
        model.parts.insert(part, file);
    }
    found.into_values().collect()
}

/// `NAME-00002-of-00009` as its name and numbers.
fn split(stem: &str) -> Option<(&str, u32, u32)> {
    let number = |text: &str| {
        (text.len() == 5 && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse::<u32>().ok())?
    };
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, part) = rest.rsplit_once('-')?;
    let (part, count) = (number(part)?, number(count)?);
    (part >= 1 && part <= count).then_some((name, part, count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(files: &[&str], wish: Wish<'_>, meant: &[&str]) {
        assert_eq!(pick(files.iter().copied(), wish).unwrap(), meant);
    }

    #[test]
    fn an_encoding_is_the_last_word_of_a_name() {
        let files = [
            "README.md",
            "mmproj-M-Q4_0.gguf",
            "mtp-M-Q4_0.gguf",
            "M.imatrix.gguf",
            "M-Q4_0.gguf",
            "M.Q5_K_M.gguf",
            "M-UD-Q4_K_XL.gguf",
            "M-IQ4_NL.gguf",
            "sub/M-Q8_0.GGUF",
        ];
        for (quant, meant) in [
            ("q4_0", "M-Q4_0.gguf"),
            ("Q5_K_M", "M.Q5_K_M.gguf"),
            ("Q4_K_XL", "M-UD-Q4_K_XL.gguf"),
            ("ud-q4_k_xl", "M-UD-Q4_K_XL.gguf"),
            ("IQ4_NL", "M-IQ4_NL.gguf"),
            ("Q8_0", "sub/M-Q8_0.GGUF"),
        ] {
            check(&files, Wish::Quant(quant), &[meant]);
        }
        for quant in ["", "0", "4_NL", "Q4_K", "Q6_K", "gguf"] {
            let missing = pick(files, Wish::Quant(quant)).unwrap_err();
            assert!(
                matches!(&missing, NoPick::Missing { there, .. } if there.len() == 5),
                "{quant}: {missing}"
            );
        }
    }

    #[test]
    fn without_a_wish_the_usual_is_taken_then_the_only_one() {
        check(&["M-Q8_0.gguf", "M-Q4_0.gguf", "M-Q4_K_M.gguf"], Wish::Usual, &["M-Q4_K_M.gguf"]);
        check(&["M-Q8_0.gguf", "M-Q4_0.gguf"], Wish::Usual, &["M-Q4_0.gguf"]);
        check(&["M-Q8_0.gguf", "M-F16.gguf"], Wish::Usual, &["M-Q8_0.gguf"]);
        check(&["M-F16.gguf", "mmproj-F16.gguf"], Wish::Usual, &["M-F16.gguf"]);
        let several = pick(["M-F16.gguf", "M-BF16.gguf"], Wish::Usual).unwrap_err();
        assert!(several.to_string().contains("M-BF16.gguf, M-F16.gguf"), "{several}");
        assert_eq!(pick(["a.txt", "mmproj-F16.gguf", "gguf", "é"], Wish::Usual), Err(NoPick::Empty));
    }

    #[test]
    fn a_plain_encoding_goes_before_a_makers_own_and_two_models_are_not_guessed_between() {
        check(&["M-UD-Q4_K_M.gguf", "M-Q4_K_M.gguf"], Wish::Usual, &["M-Q4_K_M.gguf"]);
        let two = pick(["A-Q4_0.gguf", "B-Q4_0.gguf"], Wish::Quant("Q4_0")).unwrap_err();
        assert!(matches!(two, NoPick::Several { fitting, .. } if fitting == ["A-Q4_0.gguf", "B-Q4_0.gguf"]));
    }

    #[test]
    fn a_split_model_comes_with_all_its_parts_or_not_at_all() {
        let parts = ["q/M-Q4_0-00002-of-00002.gguf", "q/M-Q4_0-00001-of-00002.gguf"];
        let meant = ["q/M-Q4_0-00001-of-00002.gguf", "q/M-Q4_0-00002-of-00002.gguf"];
        check(&parts, Wish::Quant("Q4_0"), &meant);
        check(&parts, Wish::File(parts[0]), &meant);
        check(&parts, Wish::Usual, &meant);
        assert!(matches!(pick([parts[0]], Wish::Usual), Err(NoPick::Part { part: 1, count: 2, .. })));
        check(&["M-00003-of-00002.gguf"], Wish::Usual, &["M-00003-of-00002.gguf"]);
    }

    #[test]
    fn a_file_is_meant_by_its_whole_name() {
        let files = ["M-Q4_0.gguf", "mmproj-M.gguf"];
        check(&files, Wish::File("mmproj-M.gguf"), &["mmproj-M.gguf"]);
        let missing = pick(files, Wish::File("M-Q4_0")).unwrap_err();
        assert_eq!(missing.to_string(), "the repository has no `M-Q4_0`; it has M-Q4_0.gguf");
    }

    proptest! {
        #[test]
        fn whatever_is_listed_only_that_is_meant(
            files in proptest::collection::vec(r"(mmproj|[aé]|/|-0000[0-3]-of-0000[0-3]|-Q4_0|-UD|\.gguf|\.GGUF){0,5}", 0..8),
            quant in "(Q4_0|UD-Q4_0|é|)",
        ) {
            for wish in [Wish::Usual, Wish::Quant(&quant), Wish::File(files.first().map_or("", String::as_str))] {
                if let Ok(meant) = pick(files.iter().map(String::as_str), wish) {
                    prop_assert!(!meant.is_empty() && meant.iter().all(|name| files.contains(name)));
                }
            }
        }
    }
}
