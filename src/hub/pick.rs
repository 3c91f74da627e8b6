//! Picks the GGUF that `REPO`, `REPO:QUANT` or a file's name means: pure, from a list of file names.
//!
//! A file's name ends in the encoding, followed by the number of the part: `Model-Q4_K_M-00001-of-00003.gguf`.

use std::collections::BTreeMap;

/// The encodings that are picked by default, the first that exists.
const DEFAULTS: [&str; 3] = ["Q4_K_M", "Q4_0", "Q8_0"];
/// Prefixes of GGUF files that are not models: projectors, draft layers, importance matrices.
const COMPANIONS: [&str; 3] = ["mmproj", "mtp-", "imatrix"];

/// Which GGUF of a repository to pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// The default encoding, or the only model.
    Default,
    /// An encoding, in upper or lower case: `q4_k_m`, `UD-Q4_K_XL`.
    Quant(&'a str),
    /// A file, by its path in the repository; of a split model, any part.
    File(&'a str),
}

/// Why no file was picked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickError {
    /// The repository has no model.
    #[error("the repository has no GGUF model")]
    Empty,
    /// No file has that name or encoding.
    #[error("the repository has no {requested}; it has {}", .available.join(", "))]
    Missing {
        /// The requested file or encoding.
        requested: String,
        /// The first files of the available models.
        available: Vec<String>,
    },
    /// Several models match.
    #[error("{requested} is ambiguous: it may be {}", .matching.join(" or "))]
    Several {
        /// The requested encoding.
        requested: String,
        /// The first files of the models that match.
        matching: Vec<String>,
    },
    /// A part of a split model is missing.
    #[error("part {part} of {count} of `{first}` is missing in the repository")]
    Part {
        /// The first part's name.
        first: String,
        /// The part, from 1.
        part: u32,
        /// The number of parts.
        count: u32,
    },
}

/// The files of the selected model, all parts in order.
///
/// # Errors
///
/// When no model or several match, or a part is missing.
pub fn pick<'a>(
    files: impl IntoIterator<Item = &'a str>,
    selection: Selection<'_>,
) -> Result<Vec<String>, PickError> {
    let models = models(files);
    let firsts = |of: &[&Model<'_>]| of.iter().map(|model| model.first()).collect::<Vec<_>>();
    let all: Vec<&Model<'_>> = models.iter().filter(|model| !model.is_companion()).collect();
    let missing = |requested: String| match firsts(&all) {
        none if none.is_empty() => PickError::Empty,
        available => PickError::Missing { requested, available },
    };
    let picked = match selection {
        Selection::File(name) => {
            let has = |model: &&Model<'_>| model.parts.values().any(|part| *part == name);
            models.iter().find(has).ok_or_else(|| missing(format!("`{name}`")))?
        }
        Selection::Quant(quant) => one(&all, quant)?.ok_or_else(|| missing(format!("`{quant}` model")))?,
        Selection::Default => {
            let mut default = None;
            for quant in DEFAULTS {
                default = default.or(one(&all, quant)?);
            }
            match (default, &all[..]) {
                (Some(model), _) => model,
                (None, [model]) => *model,
                (None, []) => return Err(PickError::Empty),
                (None, _) => {
                    let requested = "a repository without an encoding".to_owned();
                    return Err(PickError::Several { requested, matching: firsts(&all) });
                }
            }
        }
    };
    picked.complete()
}

/// The only model with an encoding. A plain encoding is preferred to one with a publisher's prefix (`UD-`).
fn one<'m, 'a>(all: &[&'m Model<'a>], quant: &str) -> Result<Option<&'m Model<'a>>, PickError> {
    let mut matching: Vec<&Model<'_>> = all.iter().copied().filter(|model| model.has(quant)).collect();
    if matching.iter().any(|model| !model.has(&format!("UD-{quant}"))) {
        matching.retain(|model| !model.has(&format!("UD-{quant}")));
    }
    match matching[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(PickError::Several {
            requested: format!("`{quant}`"),
            matching: matching.iter().map(|model| model.first()).collect(),
        }),
    }
}

/// A model in one or several files.
#[derive(Debug, PartialEq, Eq)]
struct Model<'a> {
    /// The file's name without folders, part number and extension.
    stem: &'a str,
    /// The number of parts.
    count: u32,
    /// File names by part number, from 1.
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

    /// Whether the name ends in an encoding, as a separate word.
    fn has(&self, quant: &str) -> bool {
        let (stem, quant) = (self.stem.to_ascii_lowercase(), quant.to_ascii_lowercase());
        let before = stem.strip_suffix(&quant);
        !quant.is_empty() && before.is_some_and(|text| text.is_empty() || text.ends_with(['-', '.']))
    }

    fn complete(&self) -> Result<Vec<String>, PickError> {
        match (1..=self.count).find(|part| !self.parts.contains_key(part)) {
            Some(part) => Err(PickError::Part { first: self.first(), part, count: self.count }),
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

/// Splits `NAME-00002-of-00009` into the name, the part and the number of parts.
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
    fn check(files: &[&str], selection: Selection<'_>, picked: &[&str]) {
        assert_eq!(pick(files.iter().copied(), selection).unwrap(), picked);
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
        for (quant, picked) in [
            ("q4_0", "M-Q4_0.gguf"),
            ("Q5_K_M", "M.Q5_K_M.gguf"),
            ("Q4_K_XL", "M-UD-Q4_K_XL.gguf"),
            ("ud-q4_k_xl", "M-UD-Q4_K_XL.gguf"),
            ("IQ4_NL", "M-IQ4_NL.gguf"),
            ("Q8_0", "sub/M-Q8_0.GGUF"),
        ] {
            check(&files, Selection::Quant(quant), &[picked]);
        }
        for quant in ["", "0", "4_NL", "Q4_K", "Q6_K", "gguf"] {
            let missing = pick(files, Selection::Quant(quant)).unwrap_err();
            assert!(
                matches!(&missing, PickError::Missing { available, .. } if available.len() == 5),
                "{quant}: {missing}"
            );
        }
    }

    #[test]
    fn by_default_a_common_encoding_is_picked_or_the_only_model() {
        check(&["M-Q8_0.gguf", "M-Q4_0.gguf", "M-Q4_K_M.gguf"], Selection::Default, &["M-Q4_K_M.gguf"]);
        check(&["M-Q8_0.gguf", "M-Q4_0.gguf"], Selection::Default, &["M-Q4_0.gguf"]);
        check(&["M-Q8_0.gguf", "M-F16.gguf"], Selection::Default, &["M-Q8_0.gguf"]);
        check(&["M-F16.gguf", "mmproj-F16.gguf"], Selection::Default, &["M-F16.gguf"]);
        let several = pick(["M-F16.gguf", "M-BF16.gguf"], Selection::Default).unwrap_err();
        assert!(several.to_string().contains("M-BF16.gguf or M-F16.gguf"), "{several}");
        assert_eq!(
            pick(["a.txt", "mmproj-F16.gguf", "gguf", "é"], Selection::Default),
            Err(PickError::Empty)
        );
    }

    #[test]
    fn without_any_model_nothing_is_said_about_encodings_and_names() {
        for selection in [Selection::Quant("Q4_0"), Selection::File("M.gguf")] {
            assert_eq!(pick(["model.safetensors", "mmproj-F16.gguf"], selection), Err(PickError::Empty));
        }
    }

    #[test]
    fn a_plain_encoding_is_preferred_and_two_models_are_ambiguous() {
        check(&["M-UD-Q4_K_M.gguf", "M-Q4_K_M.gguf"], Selection::Default, &["M-Q4_K_M.gguf"]);
        let two = pick(["A-Q4_0.gguf", "B-Q4_0.gguf"], Selection::Quant("Q4_0")).unwrap_err();
        assert!(
            matches!(two, PickError::Several { matching, .. } if matching == ["A-Q4_0.gguf", "B-Q4_0.gguf"])
        );
    }

    #[test]
    fn a_split_model_is_picked_with_all_parts_or_refused() {
        let parts = ["q/M-Q4_0-00002-of-00002.gguf", "q/M-Q4_0-00001-of-00002.gguf"];
        let picked = ["q/M-Q4_0-00001-of-00002.gguf", "q/M-Q4_0-00002-of-00002.gguf"];
        check(&parts, Selection::Quant("Q4_0"), &picked);
        check(&parts, Selection::File(parts[0]), &picked);
        check(&parts, Selection::Default, &picked);
        assert!(matches!(
            pick([parts[0]], Selection::Default),
            Err(PickError::Part { part: 1, count: 2, .. })
        ));
        check(&["M-00003-of-00002.gguf"], Selection::Default, &["M-00003-of-00002.gguf"]);
    }

    #[test]
    fn a_file_is_picked_by_its_full_name() {
        let files = ["M-Q4_0.gguf", "mmproj-M.gguf"];
        check(&files, Selection::File("mmproj-M.gguf"), &["mmproj-M.gguf"]);
        let missing = pick(files, Selection::File("M-Q4_0")).unwrap_err();
        assert_eq!(missing.to_string(), "the repository has no `M-Q4_0`; it has M-Q4_0.gguf");
    }

    proptest! {
        #[test]
        fn only_listed_files_are_picked(
            files in proptest::collection::vec(r"(mmproj|[aé]|/|-0000[0-3]-of-0000[0-3]|-Q4_0|-UD|\.gguf|\.GGUF){0,5}", 0..8),
            quant in "(Q4_0|UD-Q4_0|é|)",
        ) {
            for selection in [Selection::Default, Selection::Quant(&quant), Selection::File(files.first().map_or("", String::as_str))] {
                if let Ok(picked) = pick(files.iter().map(String::as_str), selection) {
                    prop_assert!(!picked.is_empty() && picked.iter().all(|name| files.contains(name)));
                }
            }
        }
    }
}
