//! The rules that protect sender and reader, all kept, left out one at a time, and all left out.

use std::time::Duration;

use crate::engine::EngineConfig;

/// Which rules are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rules {
    /// All: the engine as it ships.
    All,
    /// Own bundles are offered to everybody at once.
    NoOwnDelay,
    /// No link is offered them before all others.
    NoStem,
    /// A reader lets go of what it has opened.
    NoCarryingOn,
    /// Acks are told at once.
    NoAckDelay,
    /// None of these.
    None,
}

impl Rules {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [Self::All, Self::NoOwnDelay, Self::NoStem, Self::NoCarryingOn, Self::NoAckDelay, Self::None];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all rules",
            Self::NoOwnDelay => "no delay of own",
            Self::NoStem => "no first hand-over",
            Self::NoCarryingOn => "reader lets go",
            Self::NoAckDelay => "acks at once",
            Self::None => "no rule",
        }
    }

    /// The engines' numbers with these rules.
    pub fn apply(self, config: &EngineConfig) -> EngineConfig {
        let mut config = config.clone();
        let leaves_out = |rule| self == rule || self == Self::None;
        if leaves_out(Self::NoOwnDelay) {
            config.own_delay = (Duration::ZERO, Duration::ZERO);
        }
        if leaves_out(Self::NoAckDelay) {
            config.ack_delay = (Duration::ZERO, Duration::ZERO);
        }
        config.left_out.stem |= leaves_out(Self::NoStem);
        config.left_out.carrying_on |= leaves_out(Self::NoCarryingOn);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_left_out_alone_and_all_together() {
        let differ = |rules: Rules| {
            let (as_shipped, config) = (EngineConfig::default(), rules.apply(&EngineConfig::default()));
            let changed = [
                config.own_delay != as_shipped.own_delay,
                config.left_out.stem,
                config.left_out.carrying_on,
                config.ack_delay != as_shipped.ack_delay,
            ];
            changed.map(u8::from)
        };
        let expected = [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]];
        assert_eq!(Rules::ALL.map(differ), expected);
    }
}
