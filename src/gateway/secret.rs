//! Random secrets and how they are compared. Nothing here may print one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// 256 bits from the operating system, as text that needs no quoting anywhere.
pub fn token() -> String {
    random::<32>()
}

/// 128 bits: short enough for a QR code, long enough that guessing is no attack.
pub fn code() -> String {
    random::<16>()
}

/// What is kept of a secret. Looking it up by its hash takes the same time however near a guess comes.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares without stopping at the first difference.
pub fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (hash(a), hash(b));
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source does not fail once it is up");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_compare() {
        assert_ne!(token(), token());
        assert_eq!(token().len(), 43);
        assert_eq!(code().len(), 22);
        assert!(equal("a", "a"));
        assert!(!equal("a", "b"));
        assert!(!equal("a", ""));
    }
}
