//! What a key looks like: `grepx_` and 256 random bits. The prefix lets people and scanners of
//! repositories see what they have found.
//!
//! A key is not a password: nobody can guess 256 random bits, so one round of SHA-256 keeps it as
//! safe as a slow hash would, and costs every request a microsecond instead of a tenth of a second.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::store::Digest;

pub(crate) const PREFIX: &str = "grepx_";

/// A new key; it is nowhere else.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn generate() -> Result<String, getrandom::Error> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)))
}

pub(crate) fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// Takes the same time whatever is different.
pub(super) fn same(one: &Digest, other: &Digest) -> bool {
    one.ct_eq(other).into()
}
