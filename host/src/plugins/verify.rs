//! From a file to a build that may be called, or to a [`Problem`] that says why not.
//!
//! Size, format, code, imports, role, links, `describe`, descriptors: in this order, so that the
//! first reason told is the deepest one. `describe` runs in a fresh instance under the limits of
//! any call, which also proves that the component can be instantiated.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::bindings::{activity, durable, policy, types};
use super::call::{Call, call};
use super::counters::Counters;
use super::descriptor::{self, Described};
use super::failure::Problem;
use super::guest::{Guest, World};
use super::precompiled::hex;
use super::settings::MIB;
use super::types::{FileInfo, Level, Role};
use super::{Shared, precompiled};

const FILE_BYTES_MAX: u64 = 64 * MIB as u64;
const BUILD_ADVICE: &str = "build it with `cargo build --release --target wasm32-wasip2`";

/// Version of `wit/plugin.wit` that this host implements.
const CONTRACT: &str = "1.0.0";
const OFFERED: [&str; 2] = ["grepx:plugin/types", "grepx:plugin/log"];
/// Linked because every standard library imports them; nothing is behind them.
const OFFERED_PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// A component of one role, with its imports linked and its exports found.
pub(super) enum Program {
    Activity(activity::ActivityPluginPre<Guest>),
    Durable(durable::DurablePluginPre<Guest>),
    Policy(policy::PolicyPluginPre<Guest>),
}

pub(super) struct Build {
    pub(super) program: Program,
    pub(super) file: FileInfo,
}

impl Program {
    pub(super) fn role(&self) -> Role {
        match self {
            Self::Activity(_) => Role::Activity,
            Self::Durable(_) => Role::Durable,
            Self::Policy(_) => Role::Policy,
        }
    }
}

pub(super) async fn verify(shared: &Arc<Shared>, path: &Path) -> Result<(Build, Vec<Described>), Problem> {
    let started = Instant::now();
    let compiled = {
        let (shared, path) = (Arc::clone(shared), path.to_owned());
        tokio::task::spawn_blocking(move || compile(&shared, &path)).await
    };
    let compiled = compiled.map_err(|e| {
        Problem::new(
            path,
            format!("checking it failed: {e}"),
            "report it as a defect of the host",
        )
    })??;
    let program = link(shared, path, &compiled)?;
    let found = describe(shared, path, &program).await?;
    let described = descriptor::check_all(path, program.role(), found)?;
    let file = FileInfo {
        path: path.to_owned(),
        digest: hex(&compiled.digest),
        size_bytes: compiled.size_bytes,
        loaded_at: crate::clock::system(),
        from_cache: compiled.from_cache,
        load_time: started.elapsed(),
        imports: compiled.imports,
    };
    Ok((Build { program, file }, described))
}

struct Compiled {
    component: Component,
    digest: [u8; 32],
    size_bytes: u64,
    from_cache: bool,
    imports: Vec<String>,
}

fn compile(shared: &Shared, path: &Path) -> Result<Compiled, Problem> {
    let bytes = precompiled::read_bounded(path, FILE_BYTES_MAX).map_err(|e| {
        Problem::new(
            path,
            format!("cannot be read: {e}"),
            "make it a readable file, or remove it",
        )
    })?;
    check_header(path, &bytes)?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let engine = &shared.runtime.engine;
    let cached = shared.cache.load(engine, &digest);
    let from_cache = cached.is_some();
    let component = match cached {
        Some(component) => component,
        None => {
            let component = Component::from_binary(engine, &bytes).map_err(|e| {
                Problem::new(
                    path,
                    format!("is not a valid component: {e:#}"),
                    "build or copy it again",
                )
            })?;
            shared.cache.save(engine, &digest, &component);
            component
        }
    };
    let imports = component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    Ok(Compiled {
        component,
        digest,
        size_bytes: bytes.len() as u64,
        from_cache,
        imports,
    })
}

/// Tells the usual mistakes from each other before the compiler's own words.
fn check_header(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(Problem::new(path, "is a core module, not a component", BUILD_ADVICE)),
        _ => Err(Problem::new(
            path,
            "is not WebAssembly",
            "replace it by a component, or remove it",
        )),
    }
}

fn link(shared: &Shared, path: &Path, compiled: &Compiled) -> Result<Program, Problem> {
    if let Some(import) = compiled.imports.iter().find(|import| !is_offered(import)) {
        let name = import.split('@').next().unwrap_or(import);
        let package = name.split('/').next().unwrap_or(name);
        return Err(if package == "grepx:plugin" {
            let reason = format!("imports {import}, which this host does not have (its contract is {CONTRACT})");
            Problem::new(
                path,
                reason,
                "install a newer host, or build the plugin against the older contract",
            )
        } else {
            let reason = format!("asks for {package} ({import}), which is not granted");
            Problem::new(
                path,
                reason,
                "build it without that dependency: plugins reach the outside through commands only",
            )
        });
    }
    let role = role(shared, path, &compiled.component)?;
    let linked = shared.runtime.linker.instantiate_pre(&compiled.component);
    let linked = linked.and_then(|pre| {
        Ok(match role {
            Role::Activity => Program::Activity(activity::ActivityPluginPre::new(pre)?),
            Role::Durable => Program::Durable(durable::DurablePluginPre::new(pre)?),
            Role::Policy => Program::Policy(policy::PolicyPluginPre::new(pre)?),
        })
    });
    linked.map_err(|e| {
        let reason = format!("does not fit the plugin contract {CONTRACT}: {e:#}");
        Problem::new(path, reason, "build it against this host's wit/plugin.wit")
    })
}

fn is_offered(import: &str) -> bool {
    let (name, _version) = import.split_once('@').unwrap_or((import, ""));
    let package = name.split('/').next().unwrap_or(name);
    OFFERED.contains(&name) || OFFERED_PACKAGES.contains(&package)
}

fn role(shared: &Shared, path: &Path, component: &Component) -> Result<Role, Problem> {
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(&shared.runtime.engine).map(|(name, _)| name).collect();
    let has = |interface: &str| {
        exports.iter().any(|name| {
            let rest = name
                .strip_prefix("grepx:plugin/")
                .and_then(|rest| rest.strip_prefix(interface));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        })
    };
    let roles: Vec<Role> = [
        ("activity", Role::Activity),
        ("durable", Role::Durable),
        ("policy", Role::Policy),
    ]
    .into_iter()
    .filter_map(|(interface, role)| has(interface).then_some(role))
    .collect();
    let advice = "export `describe` and one of `activity`, `durable`, `policy` of grepx:plugin, as wit/plugin.wit says";
    match roles.as_slice() {
        [role] if has("describe") => Ok(*role),
        [_] => Err(Problem::new(path, "does not export grepx:plugin/describe", advice)),
        [] => Err(Problem::new(
            path,
            "is a component, but not a plugin: it exports no task kind",
            advice,
        )),
        [first, second, ..] => Err(Problem::new(path, format!("exports both {first} and {second}"), advice)),
    }
}

async fn describe(shared: &Shared, path: &Path, program: &Program) -> Result<Vec<types::Descriptor>, Problem> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The kind is not known yet; a kind's file usually has its name.
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let sink = move |level: Level, text: &str| tracing::debug!(file, ?level, "plugin: {text}");
    let limits = shared.settings.limits(&stem);
    let counters = Counters::default();
    let described = call(
        Call {
            kind: &stem,
            engine: &shared.runtime.engine,
            turns: &shared.load_turns,
            limits: &limits,
            counters: &counters,
            world: World::Stored { now_ms: 0, seed: 0 },
            sink: Arc::new(sink),
        },
        async |mut store| match program {
            Program::Activity(pre) => {
                let plugin = pre.instantiate_async(&mut store).await?;
                plugin.grepx_plugin_describe().call_describe(&mut store).await
            }
            Program::Durable(pre) => {
                let plugin = pre.instantiate_async(&mut store).await?;
                plugin.grepx_plugin_describe().call_describe(&mut store).await
            }
            Program::Policy(pre) => {
                let plugin = pre.instantiate_async(&mut store).await?;
                plugin.grepx_plugin_describe().call_describe(&mut store).await
            }
        },
    );
    let failed = |reason: String| {
        Problem::new(
            path,
            format!("`describe` failed: {reason}"),
            "report it to the plugin's author",
        )
    };
    described.await.map_err(|failure| failed(failure.reason()))
}
