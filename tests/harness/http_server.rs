//! An HTTP server of a few lines, which remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Asked {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Answers until the test ends: `/redirect` with a redirect, `/large/N` with N bytes, `/silent`
/// never, all else with what it was asked.
#[derive(Debug)]
pub struct HttpServer {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HttpServer {
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || {
                    // A client that goes away ends its own conversation only.
                    let _ = converse(stream, &seen);
                });
            }
        });
        Self { port, asked }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything that it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn converse(mut stream: TcpStream, seen: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line)?;
    asked.line = asked.line.trim_end().to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim().to_owned();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(0);
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        asked.headers.push((name.to_owned(), value));
    }
    asked.bytes = if chunked {
        chunks(&mut reader)?
    } else {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        body
    };
    asked.body = String::from_utf8_lossy(&asked.bytes).into_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let path = asked.line.split(' ').nth(1).unwrap_or("/");
    if path.starts_with("/silent") {
        let mut nothing = String::new();
        return reader.read_line(&mut nothing).map(drop);
    }
    if path.starts_with("/redirect") {
        return stream.write_all(
            b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    }
    let body = match path
        .strip_prefix("/large/")
        .and_then(|bytes| bytes.parse::<usize>().ok())
    {
        Some(bytes) => "z".repeat(bytes),
        None => format!("{}\n{:?}\n{}", asked.line, asked.headers, asked.body),
    };
    let echo = asked.header("authorization").unwrap_or_default();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-echo: {echo}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn chunks(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(body);
        }
    }
}
