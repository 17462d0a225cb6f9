//! When a key ends: an RFC 3339 date, or a date-time with its offset, as a moment.
//!
//! Used by the reader of the keys file. Invariant: a local time, which means nothing without its
//! place, is no moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toml::Value;
use toml::value::{Date, Datetime, Offset};

const DAY: i64 = 86_400;

/// The moment that a TOML date, or a text of the same form, names. A date alone is its first moment
/// in UTC; what lies before 1970 is 1970.
pub(super) fn moment(value: &Value) -> Option<SystemTime> {
    let Datetime { date, time, offset } = match value {
        Value::Datetime(datetime) => *datetime,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let seconds = match (time, offset) {
        (None, _) => 0,
        (Some(_), None) => return None,
        (Some(time), Some(offset)) => {
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i64::from(minutes),
            };
            let second = i64::from(time.second.unwrap_or(0));
            (i64::from(time.hour) * 60 + i64::from(time.minute) - minutes) * 60 + second
        }
    };
    let seconds = days(date?) * DAY + seconds;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Days since 1970: the year is counted from March, so that leap days come last.
fn days(date: Date) -> i64 {
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let of = |value: &Value| Some(moment(value)?.duration_since(UNIX_EPOCH).unwrap().as_secs());
        let as_text = of(&Value::from(text));
        if let Ok(datetime) = text.parse() {
            assert_eq!(of(&Value::Datetime(datetime)), as_text, "{text}");
        }
        as_text
    }

    #[test]
    fn dates_and_instants_and_nothing_without_an_offset() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("1999-12-31", 946_598_400),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2100-03-01", 4_107_542_400),
            ("2027-01-31T12:30:05Z", 1_801_398_605),
            ("2027-01-31T12:30:05+02:00", 1_801_391_405),
            ("2027-01-31T12:30:05.9-00:30", 1_801_400_405),
            ("1969-12-31", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "soon", "2027-01-31T12:30:05", "12:30:05", "2027-02-30", "2027-1-1", "1801398605"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(moment(&Value::Integer(2027)), None);
    }
}
