//! What a contact exchange leaves to the ratchet.

use super::secret::Secret;

/// Which end of the exchange this device was that its present keys come from.
///
/// A repair is such an exchange and gives the roles anew, on both sides alike: who answered it stands where the issuer stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairRole {
    /// Made the link, or answered the repair; the ratchet's first sender.
    Issuer,
    /// Was given the link, or offered the repair.
    Invitee,
}

impl PairRole {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Issuer => Self::Invitee,
            Self::Invitee => Self::Issuer,
        }
    }

    /// The byte that names the direction *from* this end (docs/protocol.md, sections 7.2 and 8.5).
    pub const fn direction(self) -> u8 {
        match self {
            Self::Invitee => 0x01,
            Self::Issuer => 0x02,
        }
    }
}

/// The outcome of a contact exchange or of a repair (docs/protocol.md, sections 7.4, 7.5 and 7.7), the same on both sides but for role and ratchet keys.
#[derive(Debug)]
pub struct PairKeys {
    /// Which end this device was.
    pub role: PairRole,
    /// The root key.
    pub root: Secret<32>,
    /// Header key of the issuer's first sending chain.
    pub issuer_header: Secret<32>,
    /// Header key of the invitee's first sending chain.
    pub invitee_header: Secret<32>,
    /// The pair secret of epoch 0.
    pub pair_secret: Secret<32>,
    /// Private half of this side's ratchet key: `q` of the issuer, `r` of the invitee.
    pub own_ratchet: Secret<32>,
    /// The other side's ratchet key.
    pub other_ratchet: [u8; 32],
}
