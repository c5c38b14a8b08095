//! The section `telemetry`. What the file does not say, the variables of OpenTelemetry's own
//! specification do, as far as they are the same question.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Resolver;
use crate::config::{Masked, Origin, Telemetry, mask_url};

const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS_VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";
const EXAMPLE: &str = "http://127.0.0.1:4318";
/// Of OTLP over HTTP.
const TRACES_PATH: &str = "/v1/traces";

impl Resolver<'_> {
    pub(super) fn telemetry(&mut self) -> Option<Telemetry> {
        let path = ["telemetry", "otlp_endpoint"];
        let endpoint = self.text_or_variable(&path, ENDPOINT_VARIABLE, "");
        let service_name = self.text_or_variable(&["telemetry", "service_name"], NAME_VARIABLE, "grepx-host");
        let percent = self.integer(&["telemetry", "sample_percent"], 100);
        let headers = self.telemetry_headers();
        if endpoint.is_empty() {
            return None;
        }
        let url = traces_url(&endpoint);
        if let Err(why) = url {
            let from = match self.given(&path) {
                Some(_) => String::new(),
                None => format!(" (from the variable {ENDPOINT_VARIABLE})"),
            };
            let shown = mask_url(&endpoint);
            self.mistake(
                &path,
                format!("telemetry.otlp_endpoint {shown:?}{from} {why}; write {EXAMPLE}"),
            );
        }
        Some(Telemetry {
            url: url.unwrap_or_default(),
            headers,
            service_name,
            sample_percent: u8::try_from(percent).unwrap_or(100),
        })
    }

    /// Those of the variable, and on top of them those of the file.
    fn telemetry_headers(&mut self) -> Vec<(String, Masked)> {
        let path = ["telemetry", "headers"];
        let mut headers = BTreeMap::new();
        if let Some((list, origin)) = self.variables.get(HEADERS_VARIABLE) {
            for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
                let Some((name, value)) = pair.split_once('=') else {
                    self.mistake(&path, format!("{HEADERS_VARIABLE} has to be name=value,name=value"));
                    break;
                };
                let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
                headers.insert(name.trim().to_ascii_lowercase(), (value, origin.clone()));
            }
        }
        for name in self.names(&path) {
            let own = self.given(&["telemetry", "headers", &name]);
            let own = own.and_then(|given| Some((given.value.as_str()?.to_owned(), given.origin.clone())));
            headers.extend(own.map(|own| (name.to_ascii_lowercase(), own)));
        }
        let mut checked = Vec::with_capacity(headers.len());
        for (name, (value, origin)) in headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(&value).is_err() {
                self.mistake(
                    &path,
                    format!("telemetry.headers: {name:?} is no name of a header, or its value no text of one line"),
                );
            }
            self.hidden(&["telemetry", "headers", &name], origin);
            checked.push((name, Masked(value)));
        }
        checked
    }

    /// The file's, else the variable's.
    fn text_or_variable(&mut self, path: &[&str], variable: &str, default: &str) -> String {
        let (default, origin) = match self.variables.get(variable) {
            Some((value, origin)) if !value.is_empty() => (value, origin),
            _ => (default, Origin::Default),
        };
        let default = Value::from(default);
        self.value(path, default, origin)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// # Errors
/// What is wrong with the endpoint.
fn traces_url(endpoint: &str) -> Result<String, &'static str> {
    let url: Uri = endpoint.parse().map_err(|_| "is no URL")?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    let Some(authority) = url.authority().filter(|_| known) else {
        return Err("is no URL of http or https");
    };
    if authority.as_str().contains('@') {
        return Err("has a password, which belongs into telemetry.headers as `authorization`");
    }
    if url.query().is_some() {
        return Err("has a query, where only a path can stand");
    }
    let base = endpoint.trim_end_matches('/');
    Ok(match base.ends_with(TRACES_PATH) {
        true => base.to_owned(),
        false => format!("{base}{TRACES_PATH}"),
    })
}
