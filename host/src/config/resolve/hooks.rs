//! Webhooks. Expressions are compiled here, so that a mistake in one shows at the start and not
//! when the first request comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Resolver;
use crate::config::{Hook, HookAction, HookSignature, SecretSource, SignatureEncoding, SignatureFormat};
use crate::expressions::Expression;
use crate::yaml::did_you_mean;

const NAME_CHARS_MAX: usize = 100;
const MIB: u64 = 1 << 20;

impl Resolver<'_> {
    pub(super) fn hooks(&mut self, secrets: &BTreeMap<String, SecretSource>) -> BTreeMap<String, Hook> {
        let names = self.names(&["hooks"]);
        names
            .into_iter()
            .filter_map(|name| {
                let hook = self.hook(&name, secrets)?;
                Some((name, hook))
            })
            .collect()
    }

    fn hook(&mut self, name: &str, secrets: &BTreeMap<String, SecretSource>) -> Option<Hook> {
        let path = ["hooks", name];
        let shaped = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !shaped || name.len() > NAME_CHARS_MAX {
            self.mistake(
                &path,
                format!("{name:?} is no name of a hook: use up to {NAME_CHARS_MAX} letters, digits and _-."),
            );
        }
        let signature = self.hook_signature(name, secrets);
        let condition = self.hook_expression(&["hooks", name, "condition"]);
        let idempotency_key = self.hook_expression(&["hooks", name, "idempotency_key"]);
        let body_bytes = self.size(&["hooks", name, "body_bytes"], MIB);
        let action = self.hook_action(name)?;
        Some(Hook {
            action,
            signature,
            condition,
            idempotency_key,
            body_bytes,
        })
    }

    fn hook_action(&mut self, name: &str) -> Option<HookAction> {
        let deployment = self.text(&["hooks", name, "deployment"], "");
        let signals = !self.names(&["hooks", name, "signal"]).is_empty();
        match (deployment.as_str(), signals) {
            ("", true) => {
                let task_run = self.hook_expression(&["hooks", name, "signal", "task_run"]);
                let signal = self.hook_expression(&["hooks", name, "signal", "name"]);
                let payload = self.hook_expression_or(&["hooks", name, "signal", "payload"], "body");
                let (Some(task_run), Some(signal)) = (task_run, signal) else {
                    let message = format!(
                        "hooks.{name}.signal needs task_run, whose value is the id of a task run, and name, whose value is the signal's"
                    );
                    self.mistake(&["hooks", name, "signal"], message);
                    return None;
                };
                Some(HookAction::Signal {
                    task_run,
                    name: signal,
                    payload: payload?,
                })
            }
            (deployment, false) if !deployment.is_empty() => {
                let mut parameters = Vec::new();
                for parameter in self.names(&["hooks", name, "parameters"]) {
                    let path = ["hooks", name, "parameters", &parameter];
                    if let Some(expression) = self.hook_expression(&path) {
                        parameters.push((parameter, expression));
                    }
                }
                Some(HookAction::Run {
                    deployment: deployment.to_owned(),
                    parameters,
                })
            }
            _ => {
                let message =
                    format!("hooks.{name} needs a deployment (`flow/deployment`) or a signal, one of the two");
                self.mistake(&["hooks", name], message);
                None
            }
        }
    }

    /// Whoever knows the address of a hook without a signature may start its flow: that is said,
    /// and never comes of a line that is missing.
    fn hook_signature(&mut self, name: &str, secrets: &BTreeMap<String, SecretSource>) -> Option<HookSignature> {
        let path = ["hooks", name, "secret"];
        let secret = self.text(&path, "");
        let unsigned = self.flag(&["hooks", name, "unsigned"], false);
        if secret.is_empty() {
            if !unsigned {
                let message = format!(
                    "hooks.{name} has no secret: name one of `secrets`, or say `unsigned: true` to let everybody in who reaches this host"
                );
                self.mistake(&["hooks", name], message);
            }
            return None;
        }
        if unsigned {
            let message = format!("hooks.{name} has a secret and is unsigned: take one of the two away");
            self.mistake(&path, message);
        }
        if !secrets.contains_key(&secret) {
            let near = did_you_mean(&secret, secrets.keys().map(String::as_str));
            let advice = match near.as_str() {
                "" => format!("; add `secrets: {{{secret}: {{env: VARIABLE}}}}`"),
                near => near.to_owned(),
            };
            let message = format!("hooks.{name}.secret: there is no {secret:?} in `secrets`{advice}");
            self.mistake(&path, message);
        }
        Some(self.signature_form(name, secret))
    }

    fn signature_form(&mut self, name: &str, secret: String) -> HookSignature {
        let at = |key: &'static str| ["hooks", name, "signature", key];
        let timestamped = self.text(&at("format"), "body") == "timestamped";
        let (header, prefix) = match timestamped {
            true => ("Stripe-Signature", "v1"),
            false => ("X-Hub-Signature-256", "sha256="),
        };
        let header = self.text(&at("header"), header).to_ascii_lowercase();
        if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
            self.mistake(&at("header"), format!("{header:?} is no name of a header"));
        }
        let tolerance = self.seconds(&at("tolerance_seconds"), 300);
        HookSignature {
            secret,
            format: match timestamped {
                true => SignatureFormat::Timestamped { tolerance },
                false => SignatureFormat::Body,
            },
            header,
            prefix: self.text(&at("prefix"), prefix),
            encoding: match self.text(&at("encoding"), "hex").as_str() {
                "base64" => SignatureEncoding::Base64,
                _ => SignatureEncoding::Hex,
            },
        }
    }

    fn hook_expression(&mut self, path: &[&str]) -> Option<Arc<Expression>> {
        self.hook_expression_or(path, "")
    }

    fn hook_expression_or(&mut self, path: &[&str], default: &str) -> Option<Arc<Expression>> {
        let source = self.text(path, default);
        if source.is_empty() {
            return None;
        }
        match Expression::compile_for_hook(&source) {
            Ok(expression) => Some(Arc::new(expression)),
            Err(error) => {
                self.mistake(path, format!("{}: {error}", path.join(".")));
                None
            }
        }
    }
}
