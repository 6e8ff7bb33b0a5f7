//! A message's way in words, for the command line and the interface alike. Names stand in them as people wrote them: whoever shows the
//! words cleans them first.

use std::time::Duration;

use super::{Holder, Reader, SealedBundle, What, span_in_words};
use crate::time::UnixMillis;

/// A technology in a word or two.
pub(crate) fn transport_in_words(name: &str) -> &str {
    match name {
        "lan" => "LAN",
        "memory" => "a link in memory",
        other => other,
    }
}

impl What {
    /// What happened, as one sentence without its full stop.
    pub fn in_words(&self) -> String {
        match self {
            Self::Written {} => "written, and stored here".to_owned(),
            Self::Received { .. } => "received, and opened here".to_owned(),
            Self::Sealed { number, bytes } => format!("sealed as number {number} in a bundle of {bytes} bytes"),
            Self::Handed { to: Holder::Stranger, transport, .. } => {
                format!("handed to a stranger over {}, who says that it holds it", transport_in_words(transport))
            }
            Self::Handed { to, transport, name, .. } => {
                let name = name.as_deref().unwrap_or("a contact that was removed since");
                let reader = if *to == Holder::Reader { ", for whom it is," } else { "" };
                format!("handed to {name}{reader} over {}", transport_in_words(transport))
            }
            Self::AskedAgain {} => "asked for once more, to be sealed anew".to_owned(),
            Self::Receipt {} => "the receipt came: it is delivered".to_owned(),
            Self::Read {} => "it was read".to_owned(),
            Self::Expired {} => "expired without a receipt".to_owned(),
            Self::NewKeys {} => "to be sealed anew with new keys; what others hold of it counts no longer".to_owned(),
            Self::LeftWithRequest {} => "a contact request went to a link, and this text with it".to_owned(),
            Self::TakenBack {} => "taken back before it left this device".to_owned(),
            Self::Retried {} => "to be sent once more".to_owned(),
        }
    }
}

impl Reader {
    /// Who it is, and when it was in reach; `moment` writes a time.
    pub fn in_words(&self, now: UnixMillis, moment: impl Fn(UnixMillis) -> String) -> String {
        let name = self.name.as_deref().unwrap_or("(no name yet)");
        let over = self.last_transport.as_deref().map(|transport| format!(" over {}", transport_in_words(transport))).unwrap_or_default();
        match self.last_seen {
            _ if self.in_reach => format!("{name}, in reach{over}"),
            None => format!("{name}, not in reach, never seen"),
            Some(seen) => format!("{name}, not in reach, last seen {} ({}){over}", moment(seen), ago_in_words(now, seen)),
        }
    }
}

impl SealedBundle {
    /// What it is, until when it is carried, and whether it is held here; `moment` writes a time.
    pub fn in_words(&self, now: UnixMillis, moment: impl Fn(UnixMillis) -> String) -> String {
        let mut parts = vec![format!("{} bytes", self.bytes), self.class.to_string(), format!("number {}", self.number)];
        parts.extend(self.created.map(|created| format!("sealed in the hour of {}", moment(created))));
        parts.push(match self.expires {
            Some(expires) => format!("carried until {} ({})", moment(expires), left_in_words(now, expires)),
            None => "without an end, as this device did not know the time".to_owned(),
        });
        parts.extend(self.held.map(|held| if held { "held here" } else { "no longer held here" }.to_owned()));
        parts.join(", ")
    }
}

/// How long ago something was: `3 h ago`.
pub fn ago_in_words(now: UnixMillis, at: UnixMillis) -> String {
    match now.0.checked_sub(at.0) {
        Some(millis) => format!("{} ago", span_in_words(Duration::from_millis(millis))),
        None => "clock set back".to_owned(),
    }
}

/// How long something lasts yet: `3 h left`.
pub fn left_in_words(now: UnixMillis, until: UnixMillis) -> String {
    match until.0.checked_sub(now.0) {
        Some(millis) => format!("{} left", span_in_words(Duration::from_millis(millis))),
        None => "over".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_327_200_000);

    fn raw(at: UnixMillis) -> String {
        at.0.to_string()
    }

    #[test]
    fn a_hand_over_says_to_whom() {
        let handed = |to, name: Option<&str>| What::Handed { to, transport: "lan".into(), contact: None, name: name.map(str::to_owned) };
        assert_eq!(handed(Holder::Contact, Some("bob")).in_words(), "handed to bob over LAN");
        assert_eq!(handed(Holder::Reader, Some("bob")).in_words(), "handed to bob, for whom it is, over LAN");
        assert_eq!(handed(Holder::Contact, None).in_words(), "handed to a contact that was removed since over LAN");
        // A stranger has no name, whatever stands there.
        assert!(!handed(Holder::Stranger, Some("bob")).in_words().contains("bob"));
    }

    #[test]
    fn times_that_can_not_be_are_said_so() {
        assert_eq!(ago_in_words(NOW, UnixMillis(u64::MAX)), "clock set back");
        assert_eq!(left_in_words(NOW, UnixMillis(0)), "over");
        let bundle = SealedBundle { number: 1, bytes: 512, class: "normal".into(), created: None, expires: None, held: None };
        assert_eq!(bundle.in_words(NOW, raw), "512 bytes, normal, number 1, without an end, as this device did not know the time");
    }
}
