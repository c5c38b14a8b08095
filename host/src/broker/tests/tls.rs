//! The certificates in `tls/` are made for these tests: a CA, and a server `localhost` signed by
//! it, both valid until 2126.

use super::server::Server;
use super::*;

fn file(name: &str) -> String {
    format!("{}/src/broker/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn server() -> Server {
    let (cert, key) = (file("server.pem"), file("server.key"));
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let mut arguments = vec!["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"];
    arguments.extend(files);
    Server::with(&arguments)
}

async fn bench(server: &Server, query: &str) -> Bench {
    let url = format!("rediss://localhost:{}/0?{query}", server.port);
    Bench::start(ConnectionSettings::new("main", url)).await
}

#[tokio::test]
async fn the_given_authority_is_trusted() {
    let server = server();
    let query = format!("ssl_cert_reqs=required&ssl_ca_certs={}", file("ca.pem"));
    let mut bench = bench(&server, &query).await;
    bench.up().await;
    let message = task("1", "tasks.add", json!([]));
    bench.broker.enqueue(&message, "g").await.expect("published");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_advice() {
    let server = server();
    let mut bench = bench(&server, "ssl_cert_reqs=required").await;
    let reason = bench.down().await;
    assert!(reason.contains("TLS") && reason.contains("ssl_ca_certs"), "{reason}");
}

#[tokio::test]
async fn checking_can_be_switched_off() {
    let server = server();
    let mut bench = bench(&server, "ssl_cert_reqs=none").await;
    bench.up().await;
}
