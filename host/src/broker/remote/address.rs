//! From Celery's URL to a client of the redis crate, whose own URL parser would misread
//! `ssl_cert_reqs`, `redis+socket` and others without a word.

use grepx_celery::Endpoint;
use grepx_celery::url::{Address, CertificateCheck, Redis, Secret, Tls};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};

use crate::broker::Error;

/// A client and the URL to show for it.
pub(crate) struct Place {
    pub(crate) client: Client,
    pub(crate) shown: String,
}

/// `side` is "broker" or "result backend".
pub(crate) fn client(name: &str, side: &'static str, endpoint: &Endpoint) -> Result<Place, Error> {
    let unsupported = |scheme| Error::Unsupported {
        name: name.to_owned(),
        side,
        scheme,
    };
    let redis = match endpoint {
        Endpoint::Redis(redis) => redis,
        Endpoint::Sentinel(_) => return Err(unsupported("sentinel")),
        Endpoint::Memory => return Err(unsupported("memory")),
        Endpoint::Disabled => return Err(unsupported("disabled")),
    };
    if !redis.ignored.is_empty() {
        tracing::debug!(connection = name, side, ignored = ?redis.ignored, "parameters of the URL without effect");
    }
    let unusable = |source| Error::Tls {
        name: name.to_owned(),
        side,
        source,
    };
    let info = info(redis).map_err(unusable)?;
    let client = match &redis.tls {
        Some(tls) => Client::build_with_tls(info, certificates(name, tls)?),
        None => Client::open(info),
    };
    Ok(Place {
        client: client.map_err(unusable)?,
        shown: endpoint.to_string(),
    })
}

fn info(redis: &Redis) -> redis::RedisResult<ConnectionInfo> {
    let addr = match (&redis.address, &redis.tls) {
        (Address::Unix { path }, _) => ConnectionAddr::Unix(path.into()),
        (Address::Tcp { host, port }, None) => ConnectionAddr::Tcp(host.clone(), *port),
        (Address::Tcp { host, port }, Some(tls)) => {
            let mut addr = ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: tls.check == CertificateCheck::None,
                tls_params: None,
            };
            addr.set_danger_accept_invalid_hostnames(!tls.check_hostname);
            addr
        }
    };
    // Subscriptions and commands on one connection need RESP3; pub/sub answers are pushes there.
    let mut settings = RedisConnectionInfo::default()
        .set_db(i64::from(redis.db))
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("grepx-host", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &redis.credentials.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = redis.credentials.password.as_ref().map(Secret::expose) {
        settings = settings.set_password(password);
    }
    let info = addr.into_connection_info()?;
    let tcp = TcpSettings::default().set_nodelay(true);
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

fn certificates(name: &str, tls: &Tls) -> Result<TlsCertificates, Error> {
    let read = |option: &'static str, path: &String| {
        std::fs::read(path).map_err(|source| Error::TlsFile {
            name: name.to_owned(),
            option,
            path: path.clone(),
            source,
        })
    };
    let client_tls = match (&tls.certfile, &tls.keyfile) {
        (Some(cert), key) => Some(ClientTlsConfig {
            client_cert: read("ssl_certfile", cert)?,
            // As in Python: without a key file the certificate's file holds the key.
            client_key: read("ssl_keyfile", key.as_ref().unwrap_or(cert))?,
        }),
        (None, _) => None,
    };
    let root_cert = tls
        .ca_certs
        .as_ref()
        .map(|path| read("ssl_ca_certs", path))
        .transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}
