//! How much a passphrase withstands, in words that mean something to a person.
//!
//! The number of guesses is an estimate of the crate `zxcvbn`, which knows common passwords, names, dates, and patterns on a keyboard. It is an
//! estimate from below for what people make up, and says little about what a stranger knows of them.

use zxcvbn::zxcvbn;

/// Longest passphrase that can be typed, bytes (policy); a passphrase file may have 4,096.
pub(crate) const MAX_LEN: usize = 1_024;
/// Guesses a second of an ordinary laptop against the key file: Argon2id over 64 MiB with three passes takes a core about
/// 0.15 s, and memory bandwidth bounds how many cores help (guess, on the side of the attacker).
const LAPTOP: f64 = 20.0;
/// How many times that somebody has who rents a hall of machines (guess).
const HALL: f64 = 10_000.0;

const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;
const YEAR: f64 = 365.0 * DAY;

/// What is said of a passphrase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Strength {
    /// Found by anybody.
    Weak,
    /// Found by somebody who wants it.
    Fair,
    /// Not found.
    Good,
}

/// Judges a passphrase; `name` is what others know of the person.
pub(crate) fn judge(passphrase: &str, name: &str) -> (Strength, String) {
    let guesses = zxcvbn(passphrase, &[name, "hedgerow"]).guesses_log10();
    let (alone, hall) = (seconds(guesses, LAPTOP), seconds(guesses, LAPTOP * HALL));
    if alone < YEAR {
        (Strength::Weak, format!("Weak: one laptop guesses it {}. Add two or three words.", within(alone)))
    } else if hall < YEAR {
        (Strength::Fair, format!("Fair: a laptop needs years, a hall of rented machines guesses it {}.", within(hall)))
    } else {
        (Strength::Good, "Good: even a hall of rented machines needs years.".to_owned())
    }
}

/// How long all guesses take at so many a second.
fn seconds(guesses_log10: f64, rate: f64) -> f64 {
    // Powers of ten beyond any use are infinite, which is as good.
    10_f64.powf(guesses_log10) / rate
}

fn within(seconds: f64) -> String {
    let about = |unit: f64, word: &str| {
        let number = (seconds / unit).ceil();
        if number <= 1.0 { format!("within a {word}") } else { format!("within {number:.0} {word}s") }
    };
    match seconds {
        _ if seconds < HOUR => "within the hour".to_owned(),
        _ if seconds < DAY => about(HOUR, "hour"),
        _ => about(DAY, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_guesses_is_weak_and_words_by_lot_are_good() {
        for weak in ["", "password", "qwertyuiop", "ada lovelace 1815", "Passw0rd!", "correct horse battery staple".get(..12).unwrap()] {
            assert_eq!(judge(weak, "ada lovelace").0, Strength::Weak, "{weak}");
        }
        assert_eq!(judge("quartz mandolin ferry oblong pickle", "ada").0, Strength::Good);
        assert!(judge("", "").1.contains("within the hour"));
    }

    #[test]
    fn longer_is_never_said_to_be_weaker() {
        let words = "violet anchor pumice ledger orchid";
        let mut last = Strength::Weak;
        for end in words.match_indices(' ').map(|(end, _)| end).chain([words.len()]) {
            let (strength, said) = judge(&words[..end], "");
            assert!(strength >= last, "{said}");
            last = strength;
        }
        assert_eq!(last, Strength::Good);
    }

    #[test]
    fn no_passphrase_is_too_strange_or_too_long_to_judge() {
        for strange in ["\u{301}".repeat(500), "👩\u{200d}🚀".repeat(80), "ß日本".repeat(100), "a".repeat(MAX_LEN)] {
            assert!(judge(&strange, &strange).1.ends_with('.'));
        }
    }

    #[test]
    fn spans_are_said_in_the_largest_unit() {
        assert_eq!(within(1.0), "within the hour");
        assert_eq!(within(2.5 * HOUR), "within 3 hours");
        assert_eq!(within(0.5 * DAY + 1.0), "within 13 hours");
        assert_eq!(within(20.0 * DAY), "within 20 days");
    }
}
