//! Whether a request was signed by somebody who knows the secret: HMAC with SHA-256 over the bytes
//! as they came, compared in constant time. Pure: the time is an argument.

use std::fmt;
use std::time::Duration;

use axum::http::HeaderMap;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use grepx_engine::Timestamp;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::config::{HookSignature, SignatureEncoding, SignatureFormat};

/// Signatures of one request that are tried: a sender that changes its secret sends two.
const SIGNATURES_MAX: usize = 5;

/// Why a request is refused; for the operator, never for the sender.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Missing { header: String },
    Form { header: String },
    Other,
    Time { away: Duration, tolerance: Duration },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { header } => write!(f, "it has no header {header}, or several"),
            Self::Form { header } => write!(f, "its header {header} has not the form that is configured"),
            Self::Other => f.write_str("its signature is of another secret or another body"),
            Self::Time { away, tolerance } => write!(
                f,
                "it was signed {} s away from now, {} s are allowed (signature.tolerance_seconds); do both clocks go right?",
                away.as_secs(),
                tolerance.as_secs()
            ),
        }
    }
}

/// What stands for a request that is signed with its time: the same for no other one.
pub(super) fn verify(
    wanted: &HookSignature,
    secret: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<String>, Wrong> {
    let header = wanted.header.clone();
    let mut values = headers.get_all(&header).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Wrong::Missing { header });
    };
    let form = || Wrong::Form { header: header.clone() };
    let value = value.to_str().map_err(|_| form())?;
    match wanted.format {
        SignatureFormat::Body => {
            let shown = value.strip_prefix(wanted.prefix.as_str()).ok_or_else(form)?;
            let shown = decode(wanted.encoding, shown).ok_or_else(form)?;
            check(secret, &[body], &shown).map(|()| None)
        }
        SignatureFormat::Timestamped { tolerance } => {
            let fields = value.split(',').filter_map(|field| field.trim().split_once('='));
            let mut times = fields.clone().filter(|(name, _)| *name == "t").map(|(_, value)| value);
            let (Some(time), None) = (times.next(), times.next()) else {
                return Err(form());
            };
            let seconds: i64 = time.parse().map_err(|_| form())?;
            let own = fields.filter(|(name, _)| *name == wanted.prefix).take(SIGNATURES_MAX);
            let shown: Vec<Vec<u8>> = own.filter_map(|(_, text)| decode(wanted.encoding, text)).collect();
            if shown.is_empty() {
                return Err(form());
            }
            let signed = |shown: &Vec<u8>| check(secret, &[time.as_bytes(), b".", body], shown).is_ok();
            let Some(one) = shown.iter().find(|shown| signed(shown)) else {
                return Err(Wrong::Other);
            };
            let away = Duration::from_secs(now.0.div_euclid(1_000).abs_diff(seconds));
            if away > tolerance {
                return Err(Wrong::Time { away, tolerance });
            }
            Ok(Some(BASE64_STANDARD.encode(one)))
        }
    }
}

fn check(secret: &[u8], parts: &[&[u8]], shown: &[u8]) -> Result<(), Wrong> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    parts.iter().for_each(|part| mac.update(part));
    match bool::from(mac.sign().as_ref().ct_eq(shown)) {
        true => Ok(()),
        false => Err(Wrong::Other),
    }
}

fn decode(encoding: SignatureEncoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        SignatureEncoding::Base64 => BASE64_STANDARD.decode(text).ok(),
        SignatureEncoding::Hex => {
            let digits: Option<Vec<u8>> = text
                .chars()
                .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
                .collect();
            let pairs = digits.filter(|digits| digits.len() % 2 == 0)?;
            Some(pairs.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
    }
}

#[cfg(test)]
mod tests;
