//! Sizes and durations with their units, as people type them; strictly, so that nothing is taken for something else.

use std::{fmt, time::Duration};

/// A lifetime of messages: a duration, or none at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lifetime {
    /// As it was typed; what the table shows.
    pub(crate) name: String,
    /// `None`: without end.
    pub(crate) duration: Option<Duration>,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Reads a lifetime: whole seconds, minutes, hours or days, or `none`.
pub(crate) fn lifetime(text: &str) -> Result<Lifetime, String> {
    const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
    let duration = match text {
        "none" => None,
        _ => Some(Duration::from_secs(amount(text, &UNITS, "24h, 30min, 90s, 7d or none")?)),
    };
    Ok(Lifetime { name: text.to_owned(), duration })
}

/// Reads the size of a store: whole bytes, kilobytes (1,000 bytes), kibibytes (1,024 bytes) and so on.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] =
        [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    amount(text, &UNITS, "20MB, 300kB or 64MiB")
}

/// A whole number above zero and its unit, nothing between them.
fn amount(text: &str, units: &[(&str, u64)], examples: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let known = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<u64>(), known) {
        (Ok(0), Some(_)) => Err("it must be more than zero".to_owned()),
        (Ok(number), Some(factor)) => number.checked_mul(factor).ok_or_else(|| "that is too much".to_owned()),
        (Err(_), Some(_)) if !number.is_empty() => Err("that is too much".to_owned()),
        _ => Err(format!("a whole number and a unit are needed, such as {examples}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read() {
        for (text, seconds) in [("90s", 90), ("30min", 1_800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(lifetime(text), Ok(Lifetime { name: text.to_owned(), duration: Some(Duration::from_secs(seconds)) }));
        }
        assert_eq!(lifetime("none").unwrap().duration, None);
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("1B", 1), ("300kB", 300_000), ("20MB", 20_000_000), ("1GB", 1_000_000_000), ("64MiB", 67_108_864), ("2KiB", 2_048)]
        {
            assert_eq!(size(text), Ok(bytes));
        }
    }

    #[test]
    fn what_might_mean_something_else_is_refused() {
        for text in [
            "",
            "24",
            "h",
            "24 h",
            " 24h",
            "24H",
            "1.5h",
            "-1h",
            "+1h",
            "1h30min",
            "24m",
            "0h",
            "1e3s",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert!(lifetime(text).is_err(), "{text:?}");
        }
        for text in ["", "20", "MB", "20 MB", "20mb", "20M", "20KB", "0MB", "-1MB", "20MB ", "\u{662}\u{660}MB", "99999999999999999GB"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
