//! What the operator grants a kind, in two spellings: a list of capabilities, as descriptors name
//! them, for the simple ones; a mapping for those that need more than a name.

use serde_json::{Map, Value};

/// Everything that one kind may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub connections: Vec<String>,
    pub start_flow: bool,
    pub http: Option<HttpGrant>,
    /// Names of environment variables.
    pub env: Vec<String>,
    pub secrets: Vec<SecretGrant>,
    pub clock: bool,
}

/// Outgoing requests: host patterns, and methods in capitals (none: all).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpGrant {
    pub hosts: Vec<String>,
    pub methods: Vec<String>,
}

/// A secret and the host patterns towards which its value may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretGrant {
    pub name: String,
    pub hosts: Vec<String>,
}

const KEYS: &str = "connections, start_flow, http, env, secrets and clock";

impl Grants {
    /// # Errors
    /// What is wrong, without the place.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => Self::of_list(items),
            Value::Object(map) => Self::of_map(map),
            _ => Err(format!("has to be a list of capabilities or a mapping with {KEYS}")),
        }
    }

    fn of_list(items: &[Value]) -> Result<Self, String> {
        let mut grants = Self::default();
        for item in items {
            let text = item.as_str().ok_or_else(|| format!("{item} is no capability"))?;
            match text.split_once(':') {
                None if text == "log" => {}
                None if text == "start-flow" => grants.start_flow = true,
                None if text == "clock" => grants.clock = true,
                Some(("connection", name)) if !name.is_empty() => grants.connections.push(name.to_owned()),
                Some(("env", name)) if !name.is_empty() => grants.env.push(name.to_owned()),
                Some(("http", host)) if !host.is_empty() => {
                    grants.http.get_or_insert_default().hosts.push(host.to_owned());
                }
                Some(("secret", name)) => {
                    return Err(format!(
                        "a secret is granted towards hosts: write `secrets: [{{name: {name}, hosts: [api.example.com]}}]` in a mapping instead of the list"
                    ));
                }
                _ => {
                    return Err(format!(
                        "{text:?} cannot be granted; write connection:NAME, start-flow, clock, env:NAME or http:HOST, or a mapping with {KEYS}"
                    ));
                }
            }
        }
        Ok(grants)
    }

    fn of_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut grants = Self::default();
        for (key, value) in map {
            match key.as_str() {
                "connections" => grants.connections = texts(key, value)?,
                "start_flow" => grants.start_flow = flag(key, value)?,
                "clock" => grants.clock = flag(key, value)?,
                "env" => grants.env = texts(key, value)?,
                "http" => grants.http = Some(http(value)?),
                "secrets" => {
                    let items = value.as_array().ok_or("secrets has to be a list")?;
                    grants.secrets = items.iter().map(secret).collect::<Result<_, _>>()?;
                }
                _ => return Err(format!("there is no grant {key:?}; known are {KEYS}")),
            }
        }
        Ok(grants)
    }
}

fn http(value: &Value) -> Result<HttpGrant, String> {
    if value.is_array() {
        let hosts = texts("http", value)?;
        let methods = Vec::new();
        return Ok(HttpGrant { hosts, methods });
    }
    let map = value
        .as_object()
        .ok_or("http has to be a list of hosts, or a mapping with hosts and methods")?;
    let mut grant = HttpGrant::default();
    for (key, value) in map {
        match key.as_str() {
            "hosts" => grant.hosts = texts("http.hosts", value)?,
            "methods" => {
                let methods = texts("http.methods", value)?;
                grant.methods = methods.iter().map(|method| method.to_ascii_uppercase()).collect();
            }
            _ => return Err(format!("http has hosts and methods, not {key:?}")),
        }
    }
    if grant.hosts.is_empty() {
        return Err("http names no hosts".to_owned());
    }
    Ok(grant)
}

fn secret(value: &Value) -> Result<SecretGrant, String> {
    let expected = "an item of secrets has to be {name: NAME, hosts: [HOST]}";
    let map = value.as_object().ok_or(expected)?;
    let known = map.keys().all(|key| key == "name" || key == "hosts");
    let name = map
        .get("name")
        .and_then(Value::as_str)
        .filter(|_| known)
        .ok_or(expected)?;
    let hosts = texts("secrets.hosts", map.get("hosts").unwrap_or(&Value::Null))?;
    if hosts.is_empty() {
        return Err(format!(
            "the secret {name} is granted towards no host: it could never be used"
        ));
    }
    Ok(SecretGrant {
        name: name.to_owned(),
        hosts,
    })
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or_else(|| format!("{key} has to be a list"))?;
    let text = |item: &Value| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("items of {key} have to be texts, found {other}")),
    };
    items.iter().map(text).collect()
}

fn flag(key: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{key} has to be true or false"))
}

#[cfg(test)]
mod tests;
