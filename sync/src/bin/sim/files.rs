//! What is read before anything runs.

use std::{fs::File, io::Read, path::Path};

use hedgerow_sync::sim::{text, trace::Trace, workload::Workload};

use crate::{args::Arguments, failure::Failure};

/// How many letters are drawn where none are given.
const LETTERS: usize = 500;
/// Longest name of a trace in the table.
const MAX_NAME: usize = 64;

/// The trace that the arguments name or describe.
pub(crate) fn trace(arguments: &Arguments) -> Result<Trace, Failure> {
    match (&arguments.trace, &arguments.mobility) {
        (Some(path), _) => Trace::parse(&name_of(path), &read(path)?).map_err(|error| Failure::input(path, error)),
        (None, Some(mobility)) => Ok(mobility.trace()),
        (None, None) => Err(Failure::Usage {
            what: "nobody meets: --trace FILE or --mobility MODEL is needed".to_owned(),
            hint: "Try `--mobility camp`, or `--help`.",
        }),
    }
}

/// The workload that the arguments name, or one that is drawn.
pub(crate) fn workload(arguments: &Arguments, trace: &Trace) -> Result<Workload, Failure> {
    match &arguments.workload {
        Some(path) => Workload::parse(&read(path)?, trace).map_err(|error| Failure::input(path, error)),
        None => Ok(Workload::draw(trace, arguments.letters.unwrap_or(LETTERS), arguments.seed)),
    }
}

/// The text of a file, packed or not. No more is read than the longest text, whatever the file is.
fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::reading(path, error))?;
    let most = u64::try_from(text::MAX_TEXT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| Failure::reading(path, error))?;
    text::decode(bytes).map_err(|error| Failure::input(path, error))
}

/// What the table calls a trace: its file's name without endings, and without what a terminal or a picture might take for a command.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    let bare = bare.strip_suffix(".csv").unwrap_or(bare);
    let plain = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    bare.chars().take(MAX_NAME).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_called_what_its_file_is() {
        let named = |path: &str| name_of(Path::new(path));
        assert_eq!(named("/there/highschool-thiers-2013.csv.gz"), "highschool-thiers-2013");
        assert_eq!(named("x.csv"), "x");
        assert_eq!(named("x.gz"), "x");
        assert_eq!(named("a b\u{1b}[31m<&\".csv"), "a_b__31m___");
        assert_eq!(named(&"n".repeat(300)).len(), 64);
    }
}
