//! Lines that begin with `/`: commands, never texts.

/// What is written, by what is done with it on Enter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// Nothing.
    Nothing,
    /// A text to send.
    Text(String),
    /// A command with its slash.
    Command(String),
}

impl Written {
    /// Looks at what is written. `//` begins a text with a slash.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim_end();
        match text.strip_prefix('/') {
            _ if text.trim().is_empty() => Self::Nothing,
            Some(rest) if rest.starts_with('/') => Self::Text(rest.to_owned()),
            Some(_) => Self::Command(text.to_owned()),
            None => Self::Text(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_is_a_command_and_two_are_a_text() {
        for (text, written) in [
            ("", Written::Nothing),
            (" \n ", Written::Nothing),
            ("hi \n", Written::Text("hi".into())),
            (" /hi", Written::Text(" /hi".into())),
            ("/hi you", Written::Command("/hi you".into())),
            ("/", Written::Command("/".into())),
            ("//etc/hosts", Written::Text("/etc/hosts".into())),
            ("a\n/b", Written::Text("a\n/b".into())),
        ] {
            assert_eq!(Written::read(text), written, "{text:?}");
        }
    }
}
