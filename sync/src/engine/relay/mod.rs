//! How bundles spread: in which order they are sent, how many copies may be made of one, and which gives way first
//! (docs/design/011-relay-policy.md; design brief, 4.4).
//!
//! ```text
//!  routing: may this peer see it? ──▶ relay: in which place, with how many copies ──▶ transfer
//!  pools: whose room is it in?    ──▶ relay: which of them goes first             ──▶ holdings
//! ```
//!
//! A policy is a value without state: it is asked, and answers from what it is told. It decides nothing that hides anybody: what a peer may
//! see, when own bundles are released and when acks are told is `routing`'s, whatever the policy. So policies can be compared in one run.

mod copies;
mod order;

use std::{fmt, str::FromStr};

pub(super) use self::{
    copies::{Copies, Share, Side},
    order::{Candidate, Kind, Place, Rank, Yield},
};

/// How bundles spread. All but the first are for comparison in simulations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RelayPolicy {
    /// What the program does: small bundles go to everybody, chunks too while there is room; each is sent before what is less urgent, larger
    /// or was handed on more often; pools give way by their shares.
    #[default]
    Standard,
    /// As [`Standard`](Self::Standard), but others' bundles lie in one pool: what a flood does without the defence.
    Unpooled,
    /// Every bundle goes from its writer to its reader, over no carrier.
    Direct,
    /// Binary spray: at most so many copies of a bundle, 2 to [`MAX_SPRAY`](Self::MAX_SPRAY), half of what is left with each hand-over. Nobody but the writer
    /// knows the reader: the last copy of a carrier stays where it is.
    Spray(u8),
    /// Everything to everybody; the oldest is sent first and gives way first; one pool.
    EpidemicOldest,
    /// Everything to everybody, in no order; one pool.
    EpidemicRandom,
}

impl RelayPolicy {
    /// Most copies of a bundle that [`Spray`](Self::Spray) can be told to make.
    pub const MAX_SPRAY: u8 = 64;

    /// Whether others' bundles lie in pools by who brought them.
    pub(super) const fn has_pools(self) -> bool {
        matches!(self, Self::Standard | Self::Direct | Self::Spray(_))
    }
}

/// No relay policy has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no relay policy is called {0:?}: standard, unpooled, direct, spray-2 to spray-64, epidemic-oldest, epidemic-random")]
pub struct UnknownPolicy(String);

impl fmt::Display for RelayPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.pad("standard"),
            Self::Unpooled => f.pad("unpooled"),
            Self::Direct => f.pad("direct"),
            Self::Spray(copies) => f.pad(&format!("spray-{copies}")),
            Self::EpidemicOldest => f.pad("epidemic-oldest"),
            Self::EpidemicRandom => f.pad("epidemic-random"),
        }
    }
}

impl FromStr for RelayPolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let named = [Self::Standard, Self::Unpooled, Self::Direct, Self::EpidemicOldest, Self::EpidemicRandom];
        let spray = || {
            let copies = name.strip_prefix("spray-")?.parse().ok()?;
            (2..=Self::MAX_SPRAY).contains(&copies).then_some(Self::Spray(copies))
        };
        let known = named.into_iter().find(|policy| policy.to_string() == name).or_else(spray);
        known.ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_found_by_the_name_it_shows() {
        let all = ["standard", "unpooled", "direct", "spray-2", "spray-64", "epidemic-oldest", "epidemic-random"];
        for name in all {
            assert_eq!(name.parse::<RelayPolicy>().unwrap().to_string(), name);
        }
        assert_eq!("standard".parse(), Ok(RelayPolicy::default()));
        for wrong in ["", "Standard", "spray", "spray-", "spray-1", "spray-65", "spray-256", "spray--3", "direct "] {
            assert_eq!(wrong.parse::<RelayPolicy>(), Err(UnknownPolicy(wrong.into())));
        }
    }
}
