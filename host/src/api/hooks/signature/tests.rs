use axum::http::HeaderValue;

use super::*;

const NOW: Timestamp = Timestamp(1_772_366_400_500);
const SECONDS: u64 = 1_772_366_400;

fn body_signed() -> HookSignature {
    HookSignature {
        secret: "shared".into(),
        format: SignatureFormat::Body,
        header: "x-hub-signature-256".into(),
        prefix: "sha256=".into(),
        encoding: SignatureEncoding::Hex,
    }
}

fn time_signed() -> HookSignature {
    HookSignature {
        format: SignatureFormat::Timestamped {
            tolerance: Duration::from_secs(300),
        },
        header: "stripe-signature".into(),
        prefix: "v1".into(),
        ..body_signed()
    }
}

fn with(header: &'static str, values: &[&str]) -> HeaderMap {
    let value = |text: &&str| {
        (
            header.parse().expect("a name"),
            HeaderValue::from_str(text).expect("a value"),
        )
    };
    values.iter().map(value).collect()
}

fn mac(secret: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(secret: &[u8], text: &str) -> String {
    mac(secret, text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_body_is_signed_as_github_documents_it() {
    // The values of GitHub's page on validating deliveries.
    let secret = b"It's a Secret to Everybody";
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let judge =
        |values: &[&str], body: &[u8]| verify(&body_signed(), secret, &with("x-hub-signature-256", values), body, NOW);
    assert_eq!(judge(&[good], b"Hello, World!"), Ok(None));
    assert_eq!(judge(&[good], b"Hello, World?"), Err(Wrong::Other));
    let header = "x-hub-signature-256".to_owned();
    assert_eq!(judge(&[], b""), Err(Wrong::Missing { header: header.clone() }));
    assert_eq!(
        judge(&[good, good], b""),
        Err(Wrong::Missing { header: header.clone() })
    );
    let form = Err(Wrong::Form { header });
    for odd in [&good[7..], "sha256=", "sha256=xy", "sha256=757", "sha1=757107"] {
        let judged = judge(&[odd], b"Hello, World!");
        assert!(judged == form || judged == Err(Wrong::Other), "{odd}: {judged:?}");
    }
    // A part of the right one is not the right one.
    assert_eq!(judge(&[&good[..39]], b"Hello, World!"), Err(Wrong::Other));
}

#[test]
fn base64_is_understood_where_it_is_configured() {
    let wanted = HookSignature {
        prefix: String::new(),
        encoding: SignatureEncoding::Base64,
        ..body_signed()
    };
    let text = BASE64_STANDARD.encode(mac(b"key", "x"));
    let headers = with("x-hub-signature-256", &[&text]);
    assert_eq!(verify(&wanted, b"key", &headers, b"x", NOW), Ok(None));
    assert_eq!(verify(&wanted, b"yek", &headers, b"x", NOW), Err(Wrong::Other));
}

#[test]
fn a_time_is_signed_with_the_body_and_has_to_be_near() {
    let secret = b"whsec";
    let judge = |value: &str| verify(&time_signed(), secret, &with("stripe-signature", &[value]), b"{}", NOW);
    let signed = |seconds: u64| format!("t={seconds},v1={}", hex(secret, &format!("{seconds}.{{}}")));
    let first = judge(&signed(SECONDS)).expect("good");
    assert!(first.is_some(), "it stands for this request alone");
    assert_ne!(first, judge(&signed(SECONDS + 1)).expect("good"));
    for away in [SECONDS - 300, SECONDS + 300] {
        assert!(judge(&signed(away)).is_ok(), "{away}");
    }
    for away in [SECONDS - 301, SECONDS + 301, 0] {
        assert!(matches!(judge(&signed(away)), Err(Wrong::Time { .. })), "{away}");
    }
    let good = hex(secret, &format!("{SECONDS}.{{}}"));
    let rotated = format!("t={SECONDS}, v1={}, v1={good}, v0=ff", hex(b"other", "x"));
    assert_eq!(judge(&rotated), Ok(first), "one of two is enough");
    for (value, wrong) in [
        (format!("t={},v1={good}", SECONDS + 1), Wrong::Other),
        (format!("t={SECONDS},v0={good}"), form()),
        (format!("v1={good}"), form()),
        (format!("t={SECONDS},t={SECONDS},v1={good}"), form()),
        (format!("t=now,v1={good}"), form()),
    ] {
        assert_eq!(judge(&value), Err(wrong), "{value}");
    }
}

fn form() -> Wrong {
    Wrong::Form {
        header: "stripe-signature".into(),
    }
}
