//! Socket functions on what is no socket.

use crate::guest::{BADF, BUFFER, CREATING, DIR, Guest, NOTSOCK, RESULT, RESULT_2};
use upshift_wasi::Function;

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
