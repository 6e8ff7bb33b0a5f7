//! The person's clock and calendar.

use hedgerow_sync::time::UnixMillis;
use hedgerow_tui::Civil;
use jiff::{Timestamp, tz::TimeZone};

/// What the person's clock shows at a moment: by `TZ`, else by the system's setting, else UTC.
pub(super) fn civil(at: UnixMillis) -> Civil {
    in_zone(at, TimeZone::system())
}

fn in_zone(at: UnixMillis, zone: TimeZone) -> Civil {
    let at = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or(Timestamp::MAX);
    let there = at.to_zoned(zone);
    let small = |number: i8| number.unsigned_abs();
    Civil {
        year: there.year(),
        month: small(there.month()),
        day: small(there.day()),
        hour: small(there.hour()),
        minute: small(there.minute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_moves_the_clock_and_no_moment_is_out_of_range() {
        let at = UnixMillis(1_795_341_600_000); // 2026-11-22 10:00 UTC
        let utc = in_zone(at, TimeZone::UTC);
        assert_eq!(utc, Civil { year: 2026, month: 11, day: 22, hour: 10, minute: 0 });
        let india = in_zone(at, TimeZone::posix("IST-5:30").unwrap());
        assert_eq!((india.hour, india.minute), (15, 30));
        assert_eq!(in_zone(UnixMillis(u64::MAX), TimeZone::UTC).year, 9999);
        assert_eq!(in_zone(UnixMillis(0), TimeZone::UTC).year, 1970);
    }
}
