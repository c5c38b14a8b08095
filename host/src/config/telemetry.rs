//! Traces as the operator describes them: which collector takes them, and how many.

use super::Masked;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// What a request for traces goes to: the endpoint with OTLP's own path.
    pub url: String,
    /// By name. A value is likely a credential.
    pub headers: Vec<(String, Masked)>,
    pub service_name: String,
    /// Of the flow runs, chosen by their ids.
    pub sample_percent: u8,
}
