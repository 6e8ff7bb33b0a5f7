//! NEARBY: the steps by which two people in one room become contacts (docs/protocol.md, section 7.8).
//!
//! What each step means, and when it may come, is the engine's; here is their form.

use super::{
    bundle::MAX_BUNDLE_LEN,
    codec::{LengthError, Reader},
    record::RecordError,
};
use crate::crypto::identity::{NAME_FIELD_LEN, Name};

/// The version of these steps, and the only one there is. Of two that differ the lower counts.
pub const NEARBY_VERSION: u8 = 1;
/// Length of a proof, of a confirmation and of a commitment, bytes.
const HASH_LEN: usize = 32;

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The sender's window is open.
    Here {
        /// The highest version of these steps that it speaks; not 0.
        version: u8,
        /// What it calls itself; nobody has checked it.
        name: Name,
    },
    /// The sender's window is closed again.
    Gone,
    /// The sender's person has chosen the receiver.
    Choose,
    /// From the first side, once both have chosen: a one-time link, and the hash of all that it will show.
    Commit {
        /// The secret of the link.
        secret: [u8; 16],
        /// Its key `L`.
        key: [u8; 32],
        /// The commitment.
        commitment: [u8; HASH_LEN],
    },
    /// From the second side: the request to that link, a bundle not checked yet.
    Request(Box<[u8; MAX_BUNDLE_LEN]>),
    /// From the first side: the reply, a bundle not checked yet, and what opens the commitment.
    Open {
        /// The random of the commitment.
        nonce: [u8; 32],
        /// The reply.
        reply: Box<[u8; MAX_BUNDLE_LEN]>,
    },
    /// From the second side: that it has the keys.
    Prove {
        /// The id of the pair that it had with the first before, zeros without one.
        held: [u8; 16],
        /// The proof.
        proof: [u8; HASH_LEN],
    },
    /// The sender's person has found the words equal.
    Confirm([u8; HASH_LEN]),
    /// The sender goes on with this exchange no more. Answered by the same, unless both said so at once.
    End(End),
}

/// Why an exchange ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The words differ.
    Differ = 1,
    /// The person does not want it, or not any more; also the answer to another's end.
    Withdrawn = 2,
    /// Something in it was wrong, or took too long.
    Failed = 3,
}

impl Step {
    /// The byte that names the step.
    const fn kind(&self) -> u8 {
        match self {
            Self::Here { .. } => 0x01,
            Self::Gone => 0x02,
            Self::Choose => 0x03,
            Self::Commit { .. } => 0x04,
            Self::Request(_) => 0x05,
            Self::Open { .. } => 0x06,
            Self::Prove { .. } => 0x07,
            Self::Confirm(_) => 0x08,
            Self::End(_) => 0x09,
        }
    }

    /// Appends the step to a record.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        match self {
            Self::Here { version, name } => {
                out.push(*version);
                out.extend_from_slice(&name.encode_field());
            }
            Self::Gone | Self::Choose => {}
            Self::Commit { secret, key, commitment } => {
                out.extend_from_slice(secret);
                out.extend_from_slice(key);
                out.extend_from_slice(commitment);
            }
            Self::Request(bundle) => out.extend_from_slice(bundle.as_slice()),
            Self::Open { nonce, reply } => {
                out.extend_from_slice(nonce);
                out.extend_from_slice(reply.as_slice());
            }
            Self::Prove { held, proof } => {
                out.extend_from_slice(held);
                out.extend_from_slice(proof);
            }
            Self::Confirm(proof) => out.extend_from_slice(proof),
            Self::End(end) => out.push(*end as u8),
        }
    }

    /// Decodes the body of a record of type `kind`.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if it is no step, too short, or has a field without meaning. What is left over is the caller's to refuse.
    pub(super) fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let short = |LengthError| RecordError::Length(kind);
        let field = RecordError::Field(kind);
        Ok(match reader.u8().map_err(short)? {
            0x01 => {
                let version = reader.u8().map_err(short)?;
                let name: [u8; NAME_FIELD_LEN] = reader.array().map_err(short)?;
                if version == 0 {
                    return Err(field);
                }
                Self::Here { version, name: Name::decode_field(&name).map_err(|_| field)? }
            }
            0x02 => Self::Gone,
            0x03 => Self::Choose,
            0x04 => Self::Commit {
                secret: reader.array().map_err(short)?,
                key: reader.array().map_err(short)?,
                commitment: reader.array().map_err(short)?,
            },
            0x05 => Self::Request(Box::new(reader.array().map_err(short)?)),
            0x06 => Self::Open { nonce: reader.array().map_err(short)?, reply: Box::new(reader.array().map_err(short)?) },
            0x07 => Self::Prove { held: reader.array().map_err(short)?, proof: reader.array().map_err(short)? },
            0x08 => Self::Confirm(reader.array().map_err(short)?),
            0x09 => Self::End(match reader.u8().map_err(short)? {
                1 => End::Differ,
                2 => End::Withdrawn,
                3 => End::Failed,
                _ => return Err(field),
            }),
            _ => return Err(field),
        })
    }
}

/// One of each step, for the tests of whatever takes them.
#[cfg(test)]
pub(super) fn samples() -> Vec<Step> {
    vec![
        Step::Here { version: NEARBY_VERSION, name: Name::new("Żółw 7").unwrap() },
        Step::Gone,
        Step::Choose,
        Step::Commit { secret: [1; 16], key: [2; 32], commitment: [3; 32] },
        Step::Request(Box::new([4; MAX_BUNDLE_LEN])),
        Step::Open { nonce: [5; 32], reply: Box::new([6; MAX_BUNDLE_LEN]) },
        Step::Prove { held: [7; 16], proof: [8; 32] },
        Step::Confirm([9; 32]),
        Step::End(End::Differ),
        Step::End(End::Withdrawn),
        Step::End(End::Failed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::Record;

    #[test]
    fn decode_inverts_encode_and_takes_no_other_length() {
        for step in samples() {
            let record = Record::Nearby(step);
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes), Ok(record));
            for length in 1..bytes.len() {
                assert_eq!(Record::decode(&bytes[..length]), Err(RecordError::Length(0x11)), "{length} of {}", bytes.len());
            }
            assert_eq!(Record::decode(&[&bytes[..], &[0]].concat()), Err(RecordError::Length(0x11)));
        }
    }

    #[test]
    fn fields_without_meaning_are_refused() {
        let name = Name::new("bob").unwrap().encode_field();
        let mut dirty = name;
        dirty[50] = 1;
        for bytes in [
            &[0x11, 0x00][..],
            &[0x11, 0x0a],
            &[0x11, 0x09, 0],
            &[0x11, 0x09, 4],
            &[&[0x11, 0x01, 0][..], &name].concat(),
            &[&[0x11, 0x01, 1][..], &dirty].concat(),
            &[&[0x11, 0x01, 1][..], &[0; 51]].concat(),
            &[&[0x11, 0x01, 1, 4][..], "b\u{202e}".as_bytes(), &[0; 46]].concat(),
        ] {
            assert_eq!(Record::decode(bytes), Err(RecordError::Field(0x11)), "{bytes:?}");
        }
        let newer = [&[0x11, 0x01, 2][..], &name].concat();
        assert!(matches!(Record::decode(&newer), Ok(Record::Nearby(Step::Here { version: 2, .. }))), "a newer one is understood");
    }
}
