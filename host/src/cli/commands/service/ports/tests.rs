use std::net::TcpListener;

use super::{Port, listening, look};

#[test]
fn a_taken_port_names_the_process_that_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let Port::Taken(by) = look("127.0.0.1", port) else {
        panic!("it is taken");
    };
    assert!(by.contains(&format!("process {}", std::process::id())), "{by}");
}

#[test]
fn only_sockets_that_listen_count() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1068 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1068 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
";
    assert_eq!(listening(table, 4200), ["4711"]);
    assert_eq!(listening(table, 4201), Vec::<String>::new());
}
