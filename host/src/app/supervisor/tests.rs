use std::os::unix::net::UnixDatagram;

use super::send;

#[test]
fn a_service_manager_hears_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    send(path.as_os_str(), "READY=1").expect("sent");
    let mut heard = [0; 32];
    let length = manager.recv(&mut heard).expect("a datagram");
    assert_eq!(&heard[..length], b"READY=1");
    assert!(send(folder.path().join("nobody").as_os_str(), "READY=1").is_err());
}
