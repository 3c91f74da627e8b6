//! Hints about files of another format.

use gguf_export::format::Format;

/// What to pass instead of a file of another format.
pub(super) fn format_hint(found: &Format, expected: &str) -> Option<&'static str> {
    Some(match found {
        Format::LfsPointer => {
            "`git lfs pull` fetches the files of a clone; `ggrun download ORG/NAME` needs no git"
        }
        Format::Html | Format::Empty => "download it again; the address may need a login or another path",
        Format::Text(_) | Format::Json if expected != "JSON" => {
            "download it again; it may hold an error message of the server"
        }
        Format::Zip | Format::Gzip | Format::Archive => "unpack it first",
        Format::Utf16 => "convert it to UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`",
        Format::Safetensors => "`ggrun convert` makes a GGUF from the folder of a checkpoint",
        Format::PyTorch => "only safetensors files are read; save the checkpoint in that format first",
        Format::Ggml => "convert the original checkpoint to GGUF again",
        Format::Gguf => "`ggrun run` and `ggrun inspect` take a GGUF",
        _ => return None,
    })
}
