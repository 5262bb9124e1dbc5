//! Unguessable identifiers from one seed: tags, Call-IDs, branches, nonces (RFC 3261 §19.3, §8.1.1.7).
//!
//! SHA-256 in counter mode: the same seed gives the same identifiers, so that a run can be replayed; without the
//! seed they cannot be foretold. SHA-256 is in the module anyway for digest authentication.

use sha2::{Digest, Sha256};

/// A source of random identifiers.
#[derive(Clone)]
pub struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    /// A source that yields what this seed determines.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut input = self.seed.to_vec();
        input.extend_from_slice(&self.counter.to_be_bytes());
        self.counter += 1;
        Sha256::digest(input.as_slice()).into()
    }

    /// An identifier of 20 letters and digits, 100 bits: a SIP token, and an XML name as it starts with a letter.
    pub fn token(&mut self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let block = self.block();
        let mut text = String::with_capacity(20);
        text.push(char::from(LETTERS[usize::from(block[0] % 24)]));
        for byte in &block[1..20] {
            text.push(char::from(LETTERS[usize::from(byte % 32)]));
        }
        text
    }

    /// A seed for another source.
    pub fn seed(&mut self) -> [u8; 32] {
        self.block()
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.block();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tokens_are_distinct_and_start_with_a_letter() {
        // 3261-8.1.1.7-a 3261-19.3-a
        let mut random = Random::new([7; 32]);
        let all: BTreeSet<String> = (0..100_000).map(|_| random.token()).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|t| t.len() == 20 && t.starts_with(|c: char| c.is_ascii_lowercase())));
    }

    #[test]
    fn the_seed_decides_everything() {
        let (mut a, mut b) = (Random::new([1; 32]), Random::new([1; 32]));
        assert_eq!(a.token(), b.token());
        assert_ne!(Random::new([2; 32]).token(), Random::new([1; 32]).token());
        assert_eq!(a.below(0), 0);
    }
}
