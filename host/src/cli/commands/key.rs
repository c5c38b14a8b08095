//! `key create`, `ls`, `revoke`: by the server when one answers, else in the run store itself.

use serde_json::{Value, json};
use uuid::Uuid;

use super::offline::Offline;
use super::start::seconds;
use crate::api::{check_key_name, key_digest, new_key, show_key};
use crate::cli::arguments::{Global, KeyCreate};
use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{date_time, text};
use crate::clock;
use crate::store::{self, KeyRow, NewKey, Scope};

pub(crate) fn create(global: &Global, asked: &KeyCreate) -> Done {
    let life = asked.expires_in.as_deref().map(|text| seconds("--expires-in", text));
    let life = life.transpose().map_err(Failure::usage)?;
    check_key_name(&asked.name).map_err(|wrong| Failure::usage(format!("{:?} {wrong}", asked.name)))?;
    let body = json!({"name": asked.name, "scope": asked.scope, "expires_in_seconds": life});
    let made = match Client::new(global).and_then(|client| client.post("/keys", &body)) {
        Ok(made) => made,
        Err(failure) => create_offline(&Offline::instead(global, failure)?, asked, life)?,
    };
    if global.json {
        out::json(&made);
        return Ok(Exit::Ok);
    }
    // Alone on standard output, for scripts.
    out::line(text(&made, "key"));
    out::note(format!(
        "Key {} with the scope {}{}. It is not shown again; clients take it from GREPX_API_KEY or PREFECT_API_KEY.",
        text(&made, "name"),
        text(&made, "scope"),
        match date_time(&made, "expires") {
            end if end.is_empty() => String::new(),
            end => format!(", until {end}"),
        }
    ));
    if made["first"] == true {
        out::note("It is the first one: from now on the host asks everybody for a key.");
    }
    Ok(Exit::Ok)
}

fn create_offline(offline: &Offline, asked: &KeyCreate, life: Option<u64>) -> Result<Value, Failure> {
    let key = new_key().map_err(|error| Failure::says(Exit::Broken, format!("no random numbers: {error}")))?;
    let now = clock::now();
    let scope = Scope::parse(&asked.scope).ok_or_else(|| Failure::usage("--scope is read, run or admin"))?;
    let made = NewKey {
        id: Uuid::now_v7(),
        name: asked.name.clone(),
        digest: key_digest(&key),
        scope,
        created_at: now,
        expires_at: life.map(|life| now.plus_ms(life.saturating_mul(1_000))),
    };
    let first = offline
        .runtime
        .block_on(offline.store.keys())
        .map_err(refused)?
        .is_empty();
    let what = format!("{} ({scope}, {})", made.name, made.id);
    let kept = offline.store.create_key(made.clone());
    offline.change("key create", &what, kept).map_err(refused)?;
    let row = KeyRow {
        key: made,
        last_used_at: None,
        revoked_at: None,
    };
    let mut shown = show_key(&row, now);
    shown["key"] = key.into();
    shown["first"] = first.into();
    Ok(shown)
}

pub(crate) fn ls(global: &Global) -> Done {
    let (keys, _) = all(global)?;
    if global.json {
        out::json(&Value::Array(keys));
        return Ok(Exit::Ok);
    }
    let rows = keys.iter().map(|key| {
        [
            text(key, "name"),
            text(key, "scope"),
            text(key, "state"),
            date_time(key, "created"),
            date_time(key, "expires"),
            date_time(key, "last_used"),
            text(key, "id"),
        ]
    });
    let header = ["NAME", "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED", "ID"];
    out::table(header, rows.collect(), "No keys: `grepx-host key create` makes one.");
    Ok(Exit::Ok)
}

pub(crate) fn revoke(global: &Global, which: &str) -> Done {
    let (keys, offline) = all(global)?;
    // A name is one key's, of those that are not revoked.
    let found = keys
        .iter()
        .find(|key| key["id"] == which || (key["name"] == which && key["state"] != "revoked"));
    let Some(found) = found else {
        let message =
            format!("no key that is not revoked has the name or id {which:?}: `grepx-host key ls` lists them");
        return Err(Failure::says(Exit::NotFound, message));
    };
    let id = text(found, "id");
    match offline {
        None => Client::new(global)?.delete(&format!("/keys/{id}"))?,
        Some(offline) => {
            let id = Uuid::try_parse(&id).map_err(Failure::broken)?;
            let what = format!("{} ({id})", text(found, "name"));
            let revoked = offline.store.revoke_key(id, clock::now());
            offline.change("key revoke", &what, revoked).map_err(refused)?;
        }
    }
    if global.json {
        out::json(&json!({"id": id, "name": found["name"], "state": "revoked"}));
    } else {
        out::line(format!(
            "Key {} is revoked: no request with it is answered any more.",
            text(found, "name")
        ));
    }
    Ok(Exit::Ok)
}

/// Every key, and the store when no server was there to be asked.
fn all(global: &Global) -> Result<(Vec<Value>, Option<Offline>), Failure> {
    match Client::new(global).and_then(|client| client.get("/keys")) {
        Ok(keys) => Ok((keys.as_array().cloned().unwrap_or_default(), None)),
        Err(failure) => {
            let offline = Offline::instead(global, failure)?;
            let rows = offline.runtime.block_on(offline.store.keys()).map_err(refused)?;
            let now = clock::now();
            Ok((rows.iter().map(|row| show_key(row, now)).collect(), Some(offline)))
        }
    }
}

fn refused(error: store::Error) -> Failure {
    let exit = match error {
        store::Error::KeyNameTaken(_) | store::Error::KeysFull { .. } => Exit::Usage,
        _ => Exit::Broken,
    };
    Failure::new(exit, error)
}
