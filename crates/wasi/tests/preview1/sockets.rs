//! Socket functions on what is no socket, and on connections.

use crate::guest::{
    AGAIN, BADF, BUFFER, CREATING, DIR, FD_READ, FD_WRITE, Guest, INVAL, NOTCAPABLE, NOTSOCK,
    RESULT, RESULT_2, SUCCESS,
};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use upshift_wasi::{Function, WasiCtxBuilder};

#[test]
fn only_sockets_are_sockets() {
    let mut guest = Guest::with_dir();
    let file = guest.open("file", CREATING);
    for (fd, errno) in [
        (0, NOTSOCK),
        (1, NOTSOCK),
        (DIR, NOTSOCK),
        (file, NOTSOCK),
        (99, BADF),
    ] {
        let calls = [
            (Function::SockAccept, vec![fd, 0, RESULT]),
            (Function::SockRecv, vec![fd, BUFFER, 1, 0, RESULT, RESULT_2]),
            (Function::SockSend, vec![fd, BUFFER, 1, 0, RESULT]),
            (Function::SockShutdown, vec![fd, 3]),
        ];
        for (function, args) in calls {
            assert_eq!(guest.call(function, &args), errno, "{function:?} of {fd}");
        }
    }
}

/// The socket that listens: there are no directories.
const LISTENER: u64 = 3;
const NONBLOCK: u64 = 4;
const SOCKET_STREAM: u8 = 6;
/// `sdflags.wr`
const SEND: u64 = 2;
/// `riflags.recv_peek`
const PEEK: u64 = 1;

fn accept(guest: &mut Guest) -> Result<u64, u32> {
    let fd = guest.size_of(Function::SockAccept, &[LISTENER, 0, RESULT], RESULT);
    fd.map(u64::from)
}

fn receive(guest: &mut Guest, fd: u64, flags: u64) -> Result<Vec<u8>, u32> {
    let [iovecs, count] = guest.iovecs(&[(BUFFER, 64)]);
    let args = [fd, iovecs, count, flags, RESULT, RESULT_2];
    let bytes = guest.size_of(Function::SockRecv, &args, RESULT)?;
    Ok(guest.read(BUFFER, bytes.into()))
}

#[test]
fn connections_are_accepted_and_used() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let mut guest = Guest::new(WasiCtxBuilder::new().preopened_listener(host));
    assert_eq!(guest.fdstat(LISTENER).map(|stat| stat.0), Ok(SOCKET_STREAM));
    guest.ok(Function::FdFdstatSetFlags, &[LISTENER, NONBLOCK]);
    assert_eq!(accept(&mut guest), Err(AGAIN));

    let mut peer = TcpStream::connect(address).unwrap();
    peer.write_all(b"ping").unwrap();
    guest.ok(Function::FdFdstatSetFlags, &[LISTENER, 0]);
    let fd = accept(&mut guest).unwrap();
    assert_eq!(guest.fdstat(fd).map(|stat| stat.0), Ok(SOCKET_STREAM));
    assert_eq!(guest.poll_read(fd), Ok((SUCCESS, 4)));
    assert_eq!(
        receive(&mut guest, fd, PEEK).as_deref(),
        Ok(b"ping".as_slice())
    );
    assert_eq!(
        receive(&mut guest, fd, 0).as_deref(),
        Ok(b"ping".as_slice())
    );

    let data = guest.path("pong");
    let [iovecs, count] = guest.iovecs(&[data.into()]);
    guest.ok(Function::SockSend, &[fd, iovecs, count, 0, RESULT]);
    assert_eq!(guest.u32_at(RESULT), 4);
    assert_eq!(guest.fd_write(fd, "!"), Ok(1));
    assert_eq!(guest.call(Function::SockShutdown, &[fd, 0]), INVAL);
    guest.ok(Function::SockShutdown, &[fd, SEND]);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "pong!");
    drop(peer);
    assert_eq!(receive(&mut guest, fd, 0), Ok(Vec::new()));

    let (_, _, base, inheriting) = guest.fdstat(fd).unwrap();
    let reduced = base & !(FD_READ | FD_WRITE);
    guest.ok(Function::FdFdstatSetRights, &[fd, reduced, inheriting]);
    assert_eq!(receive(&mut guest, fd, 0), Err(NOTCAPABLE));
    guest.ok(Function::FdClose, &[fd]);
    assert_eq!(receive(&mut guest, fd, 0), Err(BADF));
}
