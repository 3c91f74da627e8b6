//! The few date formats that chat templates use, in UTC and English.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Formats a time; unknown directives are left unchanged.
#[must_use]
pub fn format(moment: SystemTime, format: &str) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = seconds / 86_400;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = civil(days);
    let month_name = pick(&MONTHS, month - 1);
    let day_name = pick(&DAYS, days);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let ahead = rest.clone();
        let (padded, code) = match rest.next() {
            Some('-') => (false, rest.next()),
            code => (true, code),
        };
        let number = |value: u64| if padded { format!("{value:02}") } else { value.to_string() };
        let field = match code {
            Some('Y') => year.to_string(),
            Some('y') => number(year % 100),
            Some('m') => number(month),
            Some('d') => number(day),
            Some('H') => number(hour),
            Some('I') => number((hour + 11) % 12 + 1),
            Some('M') => number(minute),
            Some('S') => number(second),
            Some('p') => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
            Some('B') => month_name.to_owned(),
            Some('b') => month_name[..3].to_owned(),
            Some('A') => day_name.to_owned(),
            Some('a') => day_name[..3].to_owned(),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('%') => "%".to_owned(),
            _ => {
                rest = ahead;
                "%".to_owned()
            }
        };
        out += &field;
    }
    out
}

fn pick(names: &[&'static str], number: u64) -> &'static str {
    let place = number % names.len() as u64;
    names[usize::try_from(place).unwrap_or(0)]
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(format(at(0), "%A %d %B %Y %T"), "Thursday 01 January 1970 00:00:00");
        assert_eq!(format(at(951_782_400), "%a %-d %b %y"), "Tue 29 Feb 00");
        assert_eq!(format(at(1_753_968_599), "%F %H:%M:%S %I %p"), "2025-07-31 13:29:59 01 PM");
        assert_eq!(format(at(0), "100%% %Q %"), "100% %Q %");
    }
}
