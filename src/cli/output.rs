//! What goes to standard output: one JSON document, or words for people.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
};

use hedgerow_sync::{time::UnixMillis, view::Command};
use serde::Serialize;
use serde_json::Value;

use super::{error::CliError, terminal::clean};
use crate::{
    client::{self, Client, Reach},
    config::Config,
    json,
    profile::{ClosedProfile, Profile},
};

/// Longest text taken from standard input, bytes (policy): above any limit, so that the error names the limit.
const MAX_INPUT: u64 = 64 << 10;

/// Prints the JSON document, or what `words` makes of it.
///
/// # Errors
///
/// A configuration error if standard output can't be written to.
pub(super) fn show(config: &Config, document: &Value, words: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
    if config.json { show_json(document) } else { show_text(&words(document)) }
}

/// Prints one JSON document on one line.
///
/// # Errors
///
/// As [`show`].
pub(super) fn show_json(document: &impl Serialize) -> Result<(), CliError> {
    show_text(&json::line(document).ok_or_else(|| CliError::internal("an answer has no JSON form"))?)
}

/// Prints text and the end of its last line; nothing for no text.
///
/// # Errors
///
/// As [`show`].
pub(super) fn show_text(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::io("the output can't be written", &error).lost("What was asked for is done."))
        }
        _ => Ok(()),
    }
}

/// Who answers commands: the daemon, or the closed profile in this process.
pub(super) enum Source {
    Daemon(Client),
    Profile(Box<ClosedProfile>),
}

impl Source {
    /// Finds the daemon, or opens the profile if there is none.
    ///
    /// # Errors
    ///
    /// As [`client::reach`], and a store error if the profile can't be opened.
    pub(super) fn open(config: &Config) -> Result<Self, CliError> {
        match client::reach(config)? {
            Reach::Daemon(client) => Ok(Self::Daemon(client)),
            Reach::Alone(lock) => {
                let passphrase = config.passphrase()?;
                Ok(Self::Profile(Box::new(ClosedProfile::open(&Profile::at(&config.home), &passphrase, lock)?)))
            }
        }
    }

    /// Has a command done.
    ///
    /// # Errors
    ///
    /// What was said against it.
    pub(super) fn request(&mut self, command: Command) -> Result<Value, CliError> {
        match self {
            Self::Daemon(client) => client.request(&command),
            Self::Profile(profile) => {
                serde_json::to_value(profile.request(command)?).map_err(|_| CliError::internal("an answer has no JSON form"))
            }
        }
    }
}

/// Takes a text argument, from standard input if it is `-`; one newline at the end of that does not count.
///
/// # Errors
///
/// A usage error if it is far too long or no UTF-8.
pub(super) fn text_argument(argument: String) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_string(&mut text)
        .map_err(|error| CliError::usage(format!("standard input can't be read: {error}"), "Pass text in UTF-8."))?;
    if text.len() as u64 > MAX_INPUT {
        return Err(CliError::usage(format!("standard input has more than {MAX_INPUT} bytes"), "Send less; larger things are files."));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// A text field, made harmless; empty if absent.
pub(super) fn field(document: &Value, name: &str) -> String {
    document.get(name).and_then(Value::as_str).map(clean).unwrap_or_default()
}

/// A number field; 0 if absent.
pub(super) fn number(document: &Value, name: &str) -> u64 {
    document.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// Whether a field is true.
pub(super) fn flag(document: &Value, name: &str) -> bool {
    document.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The elements of an array; none if it is something else.
pub(super) fn elements(document: &Value) -> &[Value] {
    document.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A moment as `2026-11-22 05:40`, UTC.
pub(super) fn moment(millis: UnixMillis) -> String {
    let minutes = millis.0 / 60_000;
    let (days, minute) = (minutes / 1_440, minutes % 1_440);
    // Days to a date in the proleptic Gregorian calendar: years of 400, begun in March (H. Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let (month, carry) = if shifted_month < 10 { (shifted_month + 3, 0) } else { (shifted_month - 9, 1) };
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write!(out, "{:04}-{month:02}-{day:02} {:02}:{:02}", era * 400 + year_of_era + carry, minute / 60, minute % 60);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_732_254_059, "2024-11-22 05:40"),
            (4_107_542_399, "2100-02-28 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(moment(UnixMillis(seconds * 1_000)), expected);
        }
        // A stranger's clock is anything.
        assert!(!moment(UnixMillis(u64::MAX)).is_empty());
    }
}
