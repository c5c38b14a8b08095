//! The page that shows the document: Swagger UI, from this binary, so that it needs no internet. The
//! browser may load nothing but these files and ask nobody but this host.

use axum::extract::Path;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse as _, Response};

use crate::api::error::Error;

/// Nothing inline, nothing from elsewhere; small pictures in the style sheet are data URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);
/// They change with the version of the host only.
const KEPT: &str = "private, max-age=3600";

const HTML: &str = include_str!("page.html");
const START: &str = include_str!("page.js");
/// Compressed as their package has them (`build.rs`).
const BUNDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));

pub(in crate::api) async fn page() -> Response {
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], HTML).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

pub(in crate::api) async fn asset(Path(file): Path<String>) -> Result<Response, Error> {
    let (kind, content, compressed) = match file.as_str() {
        "start.js" => ("text/javascript; charset=utf-8", START.as_bytes(), false),
        "swagger-ui-bundle.js" => ("text/javascript; charset=utf-8", BUNDLE, true),
        "swagger-ui.css" => ("text/css; charset=utf-8", STYLE, true),
        _ => return Err(Error::NotFound("The page has no such file".to_owned())),
    };
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)];
    let mut response = (head, content).into_response();
    if compressed {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(response)
}
