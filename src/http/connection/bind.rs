//! The socket that listens, and the descriptors that it may spend.
//!
//! Called by `app` before any model is loaded, so that an address in use is known at once and early
//! clients wait in the backlog rather than being refused.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us until they are accepted; it lowers this to its own limit.
const BACKLOG: i32 = 4096;

/// Raises the soft limit on open descriptors to the hard one. Returns the soft limit before and now.
pub fn raise_descriptor_limit() -> (u64, u64) {
    let before = rlimit::Resource::NOFILE.get_soft().unwrap_or(0);
    let now = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(before);
    (before, now)
}

/// Binds `addr` and listens; port 0 takes a free one. `[::]` takes IPv4 as well.
///
/// # Errors
/// The system's, when the address is in use, not ours or not allowed.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_takes_a_free_port_and_a_taken_one_is_refused() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        assert_ne!(addr.port(), 0);
        assert_eq!(bind(addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_unspecified_v6_address_takes_v4_too() {
        // A machine without IPv6 has nothing to show here.
        let Ok(listener) = bind("[::]:0".parse().unwrap()) else { return };
        let port = listener.local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn the_descriptor_limit_never_falls() {
        let (before, now) = raise_descriptor_limit();
        assert!(now >= before && now > 0);
    }
}
