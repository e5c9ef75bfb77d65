//! Where chance comes from: the operating system, or a seed that gives the same each time.

use protocol::pack::PASSKEYS;
use protocol::{Pack, Secret};
use zeroize::Zeroize;

/// Where a world's chance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    /// The operating system: nobody can guess a key.
    System,
    /// The seed of the build: two runs of the same thing do not differ, and whoever has the seed has every key.
    Seeded,
}

/// A stream of random bytes.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    /// Where the seed has got to (SplitMix64); none for the operating system.
    state: Option<u64>,
}

impl Random {
    pub(crate) fn new(chance: Chance, seed: u64) -> Self {
        Self {
            state: match chance {
                Chance::System => None,
                Chance::Seeded => Some(seed),
            },
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        match &mut self.state {
            // A computer without randomness cannot make a key, and must not make one that can be guessed.
            None => getrandom::fill(bytes).expect("this computer gives no random numbers"),
            Some(state) => {
                for part in bytes.chunks_mut(8) {
                    part.copy_from_slice(&next(state)[..part.len()]);
                }
            }
        }
    }

    /// What is different for every connection.
    pub(crate) fn nonce(&mut self) -> [u8; 8] {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        bytes
    }

    /// A private key, or a shared one.
    pub(crate) fn secret(&mut self) -> Secret {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        let secret = Secret::new(bytes);
        bytes.zeroize();
        secret
    }

    /// What the production line gives a pump.
    pub(crate) fn pack(&mut self) -> Pack {
        Pack {
            private: self.secret(),
            one_time: self.secret(),
            recovery: self.secret(),
            passkey: self.passkey(),
        }
    }

    /// Six digits, each as likely as the others.
    fn passkey(&mut self) -> u32 {
        let numbers = *PASSKEYS.end();
        let fair = u32::MAX - u32::MAX % numbers;
        loop {
            let mut bytes = [0; 4];
            self.fill(&mut bytes);
            let number = u32::from_le_bytes(bytes);
            if number < fair {
                return PASSKEYS.start() + number % numbers;
            }
        }
    }
}

fn next(state: &mut u64) -> [u8; 8] {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_each_time_and_another_one_does_not() {
        let pack = |seed| Random::new(Chance::Seeded, seed).pack();
        assert_eq!(pack(1), pack(1));
        assert_ne!(pack(1).private, pack(2).private);
        let one = pack(1);
        assert_ne!(one.private, one.one_time);
        assert_ne!(one.one_time, one.recovery);
    }

    #[test]
    fn the_operating_system_does_not_repeat_itself() {
        let pack = || Random::new(Chance::System, 1).pack();
        let (one, other) = (pack(), pack());
        assert_ne!(one.private, other.private);
        assert!(PASSKEYS.contains(&one.passkey) && PASSKEYS.contains(&other.passkey));
    }
}
