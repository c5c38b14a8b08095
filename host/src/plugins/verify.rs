//! From a file to a build that may be called, or to a [`Problem`] that says why not.
//!
//! Size, format, code, imports, role, links, `describe`, descriptors: in this order, so that the
//! first reason told is the deepest one. `describe` runs in a fresh instance under the limits of
//! any call, which also proves that the component can be instantiated.

mod allowed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::Shared;
use super::bindings::{activity, durable, policy, types};
use super::call::kept::Kept;
use super::call::{Call, call};
use super::capability::Capability;
use super::counters::Counters;
use super::descriptor::{self, Described, Origin};
use super::failure::Problem;
use super::grants::Grants;
use super::guest::{Guest, Rights, World};
use super::install::Print;
use super::precompiled::hex;
use super::registry::{Kind, Provider};
use super::secrets::Held;
use super::types::{FileInfo, KindInfo, Level, Role};

const BUILD_ADVICE: &str = "build it with `cargo build --release --target wasm32-wasip2`";

/// Version of `wit/plugin.wit` that this host implements.
const CONTRACT: &str = "1.0.0";
const OFFERED: [&str; 5] = [
    "grepx:plugin/types",
    "grepx:plugin/log",
    SECRETS,
    "wasi:http/types",
    OUTGOING,
];
const SECRETS: &str = "grepx:plugin/secrets";
const OUTGOING: &str = "wasi:http/outgoing-handler";
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

/// A file as it was read.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// `None` when its digest is known and its compiled code should be there.
    pub(super) bytes: Option<Arc<Vec<u8>>>,
    pub(super) size: u64,
    pub(super) digest: [u8; 32],
    pub(super) modified: SystemTime,
}

impl Source {
    pub(super) fn new(path: &Path, bytes: Vec<u8>, modified: SystemTime) -> Self {
        Self {
            path: path.to_owned(),
            digest: Sha256::digest(&bytes).into(),
            size: bytes.len() as u64,
            bytes: Some(Arc::new(bytes)),
            modified,
        }
    }

    pub(super) fn known(path: &Path, digest: [u8; 32], print: Print) -> Self {
        Self {
            path: path.to_owned(),
            digest,
            size: print.size,
            bytes: None,
            modified: print.modified,
        }
    }
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

/// Everything that can be known of a file before it serves.
pub(super) async fn verify(shared: &Arc<Shared>, source: &Source) -> Result<Provider, Problem> {
    let (mut file, program, described) = examine(shared, source).await?;
    let mut granted = Vec::with_capacity(described.len());
    for one in described {
        let grants = allowed::check(&shared.settings, &file, program.role(), &one)?;
        file.notes.extend(allowed::note(&file, program.role(), &one, &grants));
        file.notes.extend(not_kept(shared, program.role(), &one.kind));
        granted.push((one, grants));
    }
    let program = Arc::new(program);
    let kinds = granted
        .into_iter()
        .map(|(one, grants)| kind(shared, &program, &file, one, grants));
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    Ok(Provider { file, kinds })
}

/// What a file says of itself, whatever it is granted.
pub(super) async fn look(shared: &Arc<Shared>, source: &Source) -> Result<(FileInfo, Role, Vec<Described>), Problem> {
    let (file, program, described) = examine(shared, source).await?;
    Ok((file, program.role(), described))
}

/// All of it at once on a thread of its own, so that the files of a start share the cores; only a
/// component that has to be asked is asked by a task.
async fn examine(shared: &Arc<Shared>, source: &Source) -> Result<(FileInfo, Program, Vec<Described>), Problem> {
    let started = Instant::now();
    let path = source.path.as_path();
    let prepared = {
        let (shared, path) = (Arc::clone(shared), path.to_owned());
        let (bytes, digest) = (source.bytes.clone(), source.digest);
        blocking(&source.path, move || prepare(&shared, &path, bytes.as_ref(), &digest)).await??
    };
    let Prepared {
        program,
        from_cache,
        imports,
        described,
    } = prepared;
    let described = match described {
        Some(described) => described,
        None => {
            let found = describe(shared, path, &program).await?;
            let described = descriptor::check_all(path, program.role(), found.clone(), Origin::Component)?;
            let (shared, digest) = (Arc::clone(shared), source.digest);
            let keep = move || shared.cache.save_description(&shared.runtime.engine, &digest, &found);
            blocking(path, keep).await?;
            described
        }
    };
    let file = FileInfo {
        path: path.to_owned(),
        digest: hex(&source.digest).into(),
        size_bytes: source.size,
        modified: source.modified,
        loaded_at: crate::clock::system(),
        from_cache,
        load_time: started.elapsed(),
        imports,
        notes: Vec::new(),
    };
    Ok((file, program, described))
}

async fn blocking<T: Send + 'static>(path: &Path, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        Problem::new(
            path,
            format!("checking it failed: {e}"),
            "report it as a defect of the host",
        )
    })
}

/// What is known of a component before it runs.
struct Prepared {
    program: Program,
    from_cache: bool,
    imports: Vec<String>,
    /// `None` when it has to be asked.
    described: Option<Vec<Described>>,
}

fn prepare(shared: &Shared, path: &Path, bytes: Option<&Arc<Vec<u8>>>, digest: &[u8; 32]) -> Result<Prepared, Problem> {
    let compiled = compile(shared, path, bytes, digest)?;
    let program = link(shared, path, &compiled)?;
    let known = compiled
        .from_cache
        .then(|| shared.cache.description(&shared.runtime.engine, digest))
        .flatten();
    let described = known.and_then(|known| descriptor::check_all(path, program.role(), known, Origin::Kept).ok());
    Ok(Prepared {
        described,
        program,
        from_cache: compiled.from_cache,
        imports: compiled.imports,
    })
}

fn kind(
    shared: &Shared,
    program: &Arc<Program>,
    file: &FileInfo,
    new: Described,
    grants: Grants,
) -> Result<Arc<Kind>, Problem> {
    let settings = &shared.settings;
    let secrets = Held::new(&settings.secrets, &grants, shared.cache.key());
    let text = settings.settings_json(&new.kind);
    let told = secrets.refer(&text).map_err(|name| {
        let asked = Capability::Secret(name);
        allowed::refused(file, &new.kind, &asked, "its settings name")
    })?;
    let role = program.role();
    let limits = settings.limits(&new.kind);
    Ok(Arc::new(Kind {
        settings: told.as_bytes().to_vec(),
        counters: shared.counters(&new.kind),
        input: new.input,
        kept: Kept::new(limits.calls_per_instance, &shared.places),
        rights: Rights {
            kind: new.kind.as_str().into(),
            http: allowed::sends(file, role, &grants),
            grants: Arc::new(grants),
            secrets: Arc::new(secrets),
        },
        program: Arc::clone(program),
        info: KindInfo {
            role,
            version: new.version,
            summary: new.summary,
            input_schema: new.input_schema,
            output_schema: new.output_schema,
            capabilities: new.capabilities,
            state_versions: new.state_versions,
            meta: new.meta,
            limits,
            file: file.clone(),
            kind: new.kind,
        },
    }))
}

/// A setting that changes nothing says so.
fn not_kept(shared: &Shared, role: Role, kind: &str) -> Option<String> {
    let own = shared.settings.per_plugin.get(kind)?.calls_per_instance?;
    (role != Role::Activity && own > 1 && own != shared.settings.calls_per_instance).then(|| {
        format!("plugins.limits.{kind}.calls_per_instance changes nothing: a {role} has a new instance for each call")
    })
}

struct Compiled {
    component: Component,
    from_cache: bool,
    imports: Vec<String>,
}

fn compile(shared: &Shared, path: &Path, bytes: Option<&Arc<Vec<u8>>>, digest: &[u8; 32]) -> Result<Compiled, Problem> {
    let engine = &shared.runtime.engine;
    let cached = shared.cache.load(engine, digest);
    let from_cache = cached.is_some();
    let component = match cached {
        Some(component) => component,
        None => {
            let bytes = bytes.ok_or_else(|| Problem::new(path, "has no compiled code", "read it"))?;
            check_header(path, bytes)?;
            let component = Component::from_binary(engine, bytes).map_err(|e| {
                Problem::new(
                    path,
                    format!("is not a valid component: {e:#}"),
                    "build or copy it again",
                )
            })?;
            shared.cache.save(engine, digest, &component);
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
    let rights = Rights {
        kind: stem.as_ref().into(),
        grants: Arc::default(),
        secrets: Arc::default(),
        http: false,
    };
    let described = call(
        Call {
            rights: &rights,
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
