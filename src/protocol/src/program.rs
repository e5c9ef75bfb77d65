//! A program on the wire, its read-back, and the digest that binds the two.
use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use units::{Drug, Per};

use crate::codec;

/// A program as it travels. Any values fit; whether they make a prescription is for the pump to decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Program {
    /// The drug in the reservoir.
    pub drug: Drug,
    /// Its concentration in ng/mL, 1 to 4,294,967,295 (4.29 g/mL); 2 mg/mL is 2,000,000.
    pub concentration_ng_per_ml: u32,
    /// Volume now in the reservoir after a refill, in nL, 0 to the pump's capacity ([`crate::Limits::capacity_nl`]);
    /// `None` when the reservoir was not refilled.
    pub fill_nl: Option<u32>,
    /// How the drug is to be delivered.
    pub mode: Mode,
}

/// How the drug is to be delivered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Mode {
    /// Not at all; a prescription like any other.
    Stopped,
    /// One rate without end.
    SimpleContinuous {
        /// The dose, as prescribed.
        dose: Dose,
    },
}

/// A dose over a stated time, kept as entered: 15 mcg/h is not turned into 360 mcg/day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Dose {
    /// Mass in ng, 1 or more, per [`Dose::per`].
    pub nanograms: u64,
    /// The time over which that mass is delivered.
    pub per: Per,
}

/// A staged program in the pump's own words, for the user to compare before committing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Staged {
    /// The program as the pump holds it, written anew from what it validated, not an echo of what it received.
    pub program: Program,
    /// The flow this program means, in nL/day, rounded down (for display); 0 when stopped.
    pub flow_nl_per_day: u64,
    /// Mass per 24 h under the program now in force, in ng of its own drug, rounded down; `None` when nothing was ever programmed.
    pub old_day_total_ng: Option<u64>,
    /// Mass per 24 h under the staged program, in ng, rounded down; 0 when stopped.
    pub new_day_total_ng: u64,
    /// What [`crate::Command::Commit`] has to name.
    pub digest: Digest,
    /// Carrier time left until the staged program is discarded, in ms, at most 120,000.
    pub expires_in_ms: u32,
}

impl Staged {
    /// The digest is that of the program shown, as the next one after the program numbered `number_in_force`: what a programmer checks
    /// before it asks anybody to confirm.
    pub fn is_consistent(&self, number_in_force: u32) -> bool {
        number_in_force
            .checked_add(1)
            .is_some_and(|number| Digest::of(&self.program, number) == self.digest)
    }
}

/// SHA-256 of a program and of the number it will bear.
///
/// The number is what makes each commit its own: a digest confirmed for one program number can never put the same
/// program into force a second time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `program` as the program numbered `program_number`: SHA-256 over the canonical postcard of the program
    /// followed by the postcard of the number (u32, as a varint).
    ///
    /// `program_number` is the one that a commit would give it: that of the program in force plus one.
    pub fn of(program: &Program, program_number: u32) -> Digest {
        let mut hasher = sha2::Sha256::new();
        codec::feed(&(program, program_number), &mut |bytes| {
            hasher.update(bytes)
        });
        Digest(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn program() -> Program {
        Program {
            drug: Drug::Baclofen,
            concentration_ng_per_ml: 2_000_000,
            fill_nl: Some(20_000_000),
            mode: Mode::SimpleContinuous {
                dose: Dose {
                    nanograms: 250_000,
                    per: Per::Day,
                },
            },
        }
    }

    /// The bytes are written out by hand, as an independent programmer would.
    #[test]
    fn digest_is_sha_256_over_canonical_postcard_of_program_and_number() {
        #[rustfmt::skip]
        let bytes = [
            7, // baclofen
            0x80, 0x89, 0x7a, // 2,000,000 ng/mL
            1, 0x80, 0xda, 0xc4, 0x09, // filled, 20,000,000 nL
            1, 0x90, 0xa1, 0x0f, 1, // simple continuous, 250,000 ng a day
            0xac, 0x02, // program 300
        ];
        let expected: [u8; 32] = sha2::Sha256::digest(bytes).into();
        assert_eq!(Digest::of(&program(), 300), Digest(expected));
    }

    #[test]
    fn digest_depends_on_every_field_and_on_the_number() {
        let base = program();
        let dose = |nanograms, per| Mode::SimpleContinuous {
            dose: Dose { nanograms, per },
        };
        let others = [
            Program {
                drug: Drug::Morphine,
                ..base.clone()
            },
            Program {
                concentration_ng_per_ml: 2_000_001,
                ..base.clone()
            },
            Program {
                fill_nl: Some(20_000_001),
                ..base.clone()
            },
            Program {
                fill_nl: None,
                ..base.clone()
            },
            Program {
                mode: Mode::Stopped,
                ..base.clone()
            },
            Program {
                mode: dose(250_001, Per::Day),
                ..base.clone()
            },
            Program {
                mode: dose(250_000, Per::Hour),
                ..base.clone()
            },
        ];
        let digest = Digest::of(&base, 1);
        assert_eq!(digest, Digest::of(&base, 1));
        assert_ne!(digest, Digest::of(&base, 2));
        for other in others {
            assert_ne!(digest, Digest::of(&other, 1), "{other:?}");
        }
    }

    #[test]
    fn staged_is_consistent_for_the_next_number_only() {
        let staged = Staged {
            program: program(),
            flow_nl_per_day: 125_000,
            old_day_total_ng: None,
            new_day_total_ng: 250_000,
            digest: Digest::of(&program(), 5),
            expires_in_ms: 120_000,
        };
        assert!(staged.is_consistent(4));
        assert!(!staged.is_consistent(5));
        assert!(!staged.is_consistent(u32::MAX));
        let other = Staged {
            program: Program {
                drug: Drug::Morphine,
                ..program()
            },
            ..staged
        };
        assert!(!other.is_consistent(4));
    }

    #[test]
    fn digest_is_shown_in_hex() {
        assert_eq!(Digest([0x0a; 32]).to_string(), "0a".repeat(32));
    }
}
