//! Tables as rows, and tables that would be torn.

use std::io::BufReader;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn table(id: Option<&str>, prompt: &str) -> Table {
    Table { delimiter: b',', id: id.map(str::to_owned), prompt: Template::parse(prompt).unwrap() }
}

fn read(text: &[u8], table: &Table) -> Result<Vec<(u64, Line)>, Error> {
    let input = BufReader::with_capacity(3, text);
    let mut records = Records::open(input, table, Path::new("p.csv"))?;
    std::iter::from_fn(|| records.read().transpose()).collect()
}

/// Line, id and text of each row.
fn rows(text: &str, table: &Table) -> Vec<(u64, String, String)> {
    let row = |(line, row): (u64, Line)| {
        let Line::Whole(row) = row else { panic!("{row:?}") };
        let row: Value = serde_json::from_slice(&row).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (line, text(&row["custom_id"]), text(&row["messages"][0]["content"]))
    };
    read(text.as_bytes(), table).unwrap().into_iter().map(row).collect()
}

#[track_caller]
fn refused(text: &[u8], table: &Table, says: &str) {
    let error = read(text, table).unwrap_err().to_string();
    assert_eq!(error, format!("cannot read `p.csv` as a table: {says}"));
}

#[test]
fn quoted_fields_keep_delimiters_newlines_and_quotes() {
    let text = "id, text \r\na,\"one, \"\"two\"\"\r\nthree\"\r\nb,\"\",\n".replace("\"\",\n", "5\" é\n");
    let found = rows(&text, &table(Some("id"), "{text}"));
    let expected = [(2, "a", "one, \"two\"\r\nthree"), (4, "b", "5\" é")];
    assert_eq!(found, expected.map(|(line, id, text)| (line, id.to_owned(), text.to_owned())));
}

#[test]
fn a_template_inserts_columns_and_braces() {
    let found = rows("q,a\nx,1\ny,2\n", &table(None, "Is {{{q}}} = { a }? {q}"));
    let expected = [(2, "row-1", "Is {x} = 1? x"), (3, "row-2", "Is {y} = 2? y")];
    assert_eq!(found, expected.map(|(line, id, text)| (line, id.to_owned(), text.to_owned())));
    for (text, says) in [
        ("a {b", "`{` without `}` in `{b`"),
        ("a } b {c}", "`}` without `{` before ` b {c}`"),
        ("{{a}}", "`{{a}}` inserts no column, expected `{NAME}`"),
    ] {
        assert_eq!(Template::parse(text).unwrap_err().to_string(), says);
    }
}

#[test]
fn a_table_that_would_be_torn_is_refused_with_its_line() {
    let plain = table(None, "{text}");
    for (text, says) in [
        (&b"id,text\na,b\nc\n"[..], "line 3: the number of fields is 1, expected 2 as in the header"),
        (
            b"id,text\r\n\r\n1,\"a\r\nb\"\r\nc\r\n",
            "line 5: the number of fields is 1, expected 2 as in the header",
        ),
        (b"id,text\na,b,c\n", "line 2: the number of fields is 3, expected 2 as in the header"),
        (b"id,text\n1,a\n2,\"b\n3,c\n", "the quote that opens in line 3 is not closed"),
        (b"id,text\n1,\"say \"hi\" now\"\n", "text after the closing quote of a field in line 2"),
        (b"id,text\n1,\xe9t\xe9\n", "line 2 is not UTF-8 in column `text`"),
        (b"id,caf\xe9\n", "line 1 is not UTF-8"),
        (b"", "no header, expected the names of the columns in the first line"),
        (b"id,Text\na,b\n", "no column `text`, expected `id`, `Text`"),
        (b"text,text\na,b\n", "two columns are named `text`"),
    ] {
        refused(text, &plain, says);
    }
    refused(b"text\na\n", &table(Some("id"), "{text}"), "no column `id`, expected `text`");
}

#[test]
fn a_record_without_an_end_is_refused_at_the_limit() {
    let long = [b"text\n\"".to_vec(), vec![b'x'; crate::batch::LIMIT + (1 << 17)]].concat();
    let error = read(&long, &table(None, "{text}")).unwrap_err();
    assert!(matches!(error, Error::Table { fault: Fault::Endless { .. }, .. }), "{error}");
}

#[test]
fn a_row_without_a_text_fails_alone() {
    let found = read(b"id,text,more\na, ,\nb,x,\n", &table(Some("id"), "Translate {text} {more}")).unwrap();
    let Line::Refused { id, failure } = &found[0].1 else { panic!("{found:?}") };
    assert_eq!((id.as_str(), failure.cause), ("a", Cause::EmptyPrompt));
    assert_eq!(failure.message(), "columns `text`, `more` are empty");
    assert!(matches!(found[1].1, Line::Whole(_)));
}

proptest! {
    #[test]
    fn a_written_table_is_read_again(texts in prop::collection::vec("[ab,\"\n\r é]{0,8}x", 1..9), buffer in 1usize..20) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["n", "text"]).unwrap();
        for text in &texts {
            writer.write_record(["1", text]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let input = BufReader::with_capacity(buffer, &bytes[..]);
        let mut records = Records::open(input, &table(None, "{text}"), Path::new("p.csv")).unwrap();
        for text in &texts {
            let (_, line) = records.read().unwrap().unwrap();
            let Line::Whole(line) = line else { panic!("{line:?}") };
            let row: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(row["messages"][0]["content"].as_str(), Some(text.as_str()));
        }
        prop_assert!(records.read().unwrap().is_none());
    }

    #[test]
    fn any_bytes_are_records_or_refused(bytes in prop::collection::vec(prop::sample::select(b"ab,\"\n\r\xe9".to_vec()), 0..60)) {
        if let Ok(rows) = read(&[b"text\n", &bytes[..]].concat(), &table(None, "{text}")) {
            // What is read has every quote that is text, and no line twice.
            prop_assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
