//! Does what the task's `config` says, and above all what it must not be able to do. One word per
//! attack, so that a test reads as the attack that it is.

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;

mod ask;

mod extra {
    wit_bindgen::generate!({ path: "../../../wit", world: "with-secrets" });
}

struct Hostile;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Attack {
    Panic { text: String },
    Exit,
    Loop,
    Memory,
    /// A result of that many bytes.
    Result { bytes: usize },
    /// That many lines in the log, and as many on standard output and error.
    Flood { lines: usize },
    /// A result of nested lists.
    Nest { levels: usize },
    /// Waits inside the host.
    Block { seconds: u64 },
    Environment,
    Clock,
    /// Files, sockets, names: what it could reach.
    Reach,
    /// The placeholder of a secret.
    Secret { name: String },
    Http(ask::Request),
}

impl Activity for Hostile {
    const KIND: &'static str = "hostile";
    const SUMMARY: &'static str = "Does what it must not";
    type Input = TaskInput<Value, Attack>;
    type Output = Value;

    fn input_schema() -> Value {
        json!({})
    }

    fn run(_ctx: &Ctx, input: Self::Input) -> Result<Value, Error> {
        match input.config {
            Attack::Panic { text } => panic!("{text}"),
            Attack::Exit => std::process::exit(1),
            Attack::Loop => loop {
                std::hint::spin_loop();
            },
            Attack::Memory => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                }
            }
            Attack::Result { bytes } => Ok(Value::String("x".repeat(bytes))),
            Attack::Flood { lines } => {
                for line in 0..lines {
                    log::info(format!("line {line} {}", "y".repeat(100)));
                    println!("out {line}");
                    eprintln!("err {line}");
                }
                Ok(json!(lines))
            }
            Attack::Nest { levels } => Ok((0..levels).fold(json!(1), |inner, _| json!([inner]))),
            Attack::Block { seconds } => {
                std::thread::sleep(Duration::from_secs(seconds));
                Ok(json!("slept"))
            }
            Attack::Environment => Ok(json!(std::env::vars().collect::<std::collections::BTreeMap<_, _>>())),
            Attack::Clock => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Ok(json!({
                    "ms": now.map_or(0, |now| now.as_millis() as u64),
                    "random": wasip2::random::random::get_random_u64(),
                }))
            }
            Attack::Reach => {
                let said = |result: std::io::Result<()>| result.err().map(|error| error.to_string());
                Ok(json!({
                    "read": said(std::fs::read("/etc/passwd").map(drop)),
                    "write": said(std::fs::write("/tmp/hostile", "x")),
                    "connect": said(std::net::TcpStream::connect("127.0.0.1:1").map(drop)),
                    "listen": said(std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
                    "lookup": said(std::net::ToSocketAddrs::to_socket_addrs("localhost:1").map(drop)),
                    "preopens": wasip2::filesystem::preopens::get_directories().len(),
                }))
            }
            Attack::Secret { name } => {
                let told = extra::grepx::plugin::secrets::get(&name);
                log::info(format!("the placeholder of {name} is {told:?}"));
                Ok(json!(told))
            }
            Attack::Http(request) => ask::send(request),
        }
    }
}

grepx_plugin_sdk::export_activity!(Hostile);
