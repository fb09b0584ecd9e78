//! Names and times of a new object.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

/// The program that writes, among all of the world's.
pub(super) const IMPLEMENTATION: &str = "2.25.108912667479264600855745199826017511689";

/// A UID that nobody else has: a random UUID in decimal (DICOM PS3.5, B.2).
pub(super) fn unique() -> String {
    let random = || u128::from(RandomState::new().build_hasher().finish());
    let uuid = random() << 64 | random();
    // Version 4, variant 1.
    let uuid = uuid & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    format!("2.25.{uuid}")
}

/// Date and time of now, in Greenwich, as `YYYYMMDD` and `HHMMSS`.
pub(super) fn now() -> (String, String) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    (format!("{year:04}{month:02}{day:02}"), format!("{hour:02}{minute:02}{second:02}"))
}

/// Year, month and day so many days after 1 January 1970, counted in years from March on, as leap days end those.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Python's `datetime.date.fromordinal`.
    #[test]
    fn days_become_dates() {
        let cases = [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_453, (2025, 12, 31))];
        for (days, want) in cases {
            assert_eq!(date(days), want);
        }
    }

    #[test]
    fn names_are_new_each_time() {
        let (one, other) = (unique(), unique());
        assert_ne!(one, other);
        assert!(one.len() <= 64 && one.strip_prefix("2.25.").is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit())));
    }
}
