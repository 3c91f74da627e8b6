//! The formats of strings, as patterns that match only valid texts. Rare valid ones do not match: they are not written.

/// A label of a host name: letters, digits, and hyphens within. Two hyphens in a row would begin an encoded name.
const LABEL: &str = "[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,31}";
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const DATE: &str = "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])\
    |(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))\
    |(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";
const TIME: &str = "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?\
    (?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])|23:59:60(?:\\.[0-9]+)?(?:[zZ]|[+-]00:00))";
/// The characters of a path, a query and a fragment of an address.
const PATH: &str = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@/-]|%[0-9a-fA-F]{2})*";
const MORE: &str = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*";

/// All formats that are held, and which of their valid texts are not written.
pub(super) const FORMATS: [(&str, &str); 12] = [
    ("date", ""),
    ("time", "leap seconds of other zones than UTC"),
    ("date-time", "leap seconds of other zones than UTC"),
    ("duration", ""),
    ("email", "quoted local parts, addresses in brackets"),
    ("hostname", "labels of more than 32 characters or with `--`, more than 7 labels"),
    ("ipv4", ""),
    ("ipv6", "IPv4 at the end"),
    ("uuid", ""),
    ("uri", "hosts in brackets"),
    ("json-pointer", ""),
    ("relative-json-pointer", ""),
];

/// The pattern of a format, anchored; `None` if the format is not held.
pub(super) fn pattern(format: &str) -> Option<String> {
    let inner = match format {
        "date" => DATE.to_owned(),
        "time" => TIME.to_owned(),
        "date-time" => format!("{DATE}[tT]{TIME}"),
        "duration" => duration(),
        "email" => {
            let atom = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
            format!("{atom}(?:\\.{atom})*@{}", host())
        }
        "hostname" => host(),
        "ipv4" => format!("{OCTET}(?:\\.{OCTET}){{3}}"),
        "ipv6" => ipv6(),
        "uuid" => "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".to_owned(),
        "uri" => uri(),
        "json-pointer" => JSON_POINTER.to_owned(),
        "relative-json-pointer" => format!("(?:0|[1-9][0-9]*)(?:#|{JSON_POINTER})"),
        _ => return None,
    };
    Some(format!("^(?:{inner})$"))
}

const JSON_POINTER: &str = "(?:/(?:[^/~]|~[01])*)*";

fn host() -> String {
    format!("{LABEL}(?:\\.{LABEL}){{0,6}}")
}

fn duration() -> String {
    let time = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
    let date = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)";
    format!("P(?:{date}(?:{time})?|{time}|[0-9]+W)")
}

fn ipv6() -> String {
    let part = "[0-9a-fA-F]{1,4}";
    let mut forms = vec![format!("(?:{part}:){{7}}{part}"), format!("(?:{part}:){{1,7}}:")];
    for before in 1..7 {
        forms.push(format!("(?:{part}:){{1,{before}}}(?::{part}){{1,{}}}", 7 - before));
    }
    forms.push(format!(":(?::{part}){{1,7}}"));
    forms.push("::".to_owned());
    forms.join("|")
}

fn uri() -> String {
    let user = "(?:(?:[a-zA-Z0-9._~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*@)?";
    let name = "(?:[a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{2})*";
    let segment = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
    let rest = format!("(?:\\?{MORE})?(?:#{MORE})?");
    format!(
        "[a-zA-Z][a-zA-Z0-9+.-]*:(?://{user}{name}(?::[0-9]*)?(?:/{PATH})?|/(?:{segment}{PATH})?|{segment}{PATH})?{rest}"
    )
}
