//! Takes the two files of Swagger UI that the page of the API needs out of their package. They lie
//! there deflated, and gzip is the same with another head and tail: nothing is compressed here.

use std::path::Path;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];
/// Signatures and lengths of APPNOTE.TXT, 4.3.7 and 4.3.12.
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const DEFLATED: u16 = 8;
/// Of RFC 1952: no name, no time, from an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").expect("cargo names it");
    for file in FILES {
        let gzip = entry(file).unwrap_or_else(|| panic!("the package of Swagger UI has no dist/{file}, deflated"));
        fs::write(Path::new(&out).join(format!("{file}.gz")), gzip).expect("cargo has made the directory");
    }
}

fn entry(file: &str) -> Option<Vec<u8>> {
    let wanted = format!("/dist/{file}");
    let mut rest = ARCHIVE;
    loop {
        let at = rest.windows(ENTRY.len()).position(|window| window == ENTRY)?;
        let head = rest.get(at..)?;
        let name = head.get(ENTRY_BYTES..)?.get(..usize::from(short(head, 28)?))?;
        let name = std::str::from_utf8(name).unwrap_or_default();
        // `…/dist/x` at the top, not that of a flavour.
        if name.ends_with(&wanted) && name.matches('/').count() == 2 && short(head, 10)? == DEFLATED {
            let (crc, packed) = (head.get(16..20)?, usize::try_from(long(head, 20)?).ok()?);
            let (size, local) = (head.get(24..28)?, usize::try_from(long(head, 42)?).ok()?);
            let local = ARCHIVE.get(local..)?;
            let start = LOCAL_BYTES + usize::from(short(local, 26)?) + usize::from(short(local, 28)?);
            let content = local.get(start..)?.get(..packed)?;
            return Some([GZIP_HEAD.as_slice(), content, crc, size].concat());
        }
        rest = head.get(ENTRY.len()..)?;
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
