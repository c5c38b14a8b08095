//! A way to a server that is slow: what comes through, either way, comes late.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub struct Proxy {
    port: u16,
    delay_ms: Arc<AtomicU64>,
}

impl Proxy {
    /// To a port of this machine, without delay at first.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let delay_ms = Arc::<AtomicU64>::default();
        let delay = Arc::clone(&delay_ms);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // One that cannot be served is closed, as by a server that is away.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                        continue;
                    };
                    let delay = Arc::clone(&delay);
                    std::thread::spawn(move || pass(from, to, &delay));
                }
            }
        });
        Self { port, delay_ms }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of each piece that is passed on.
    pub fn delay(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.delay_ms.store(ms, Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods, reason = "being late is what this is for")]
fn pass(mut from: TcpStream, mut to: TcpStream, delay_ms: &AtomicU64) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        std::thread::sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed)));
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
