//! A proxy that knows connections only, as kube-proxy: each goes to one replica for all its life.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::endpoints::{Follower, Replica};

/// Joins every connection that comes to the port `of` the replica whose turn it is.
pub(super) async fn balance(listener: TcpListener, follower: Arc<Follower>, of: fn(Replica) -> SocketAddr) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(join(client, of(follower.next())));
    }
}

/// Nothing is tried twice: what the replica does to the connection, the client sees.
async fn join(mut client: TcpStream, replica: SocketAddr) {
    let joined = async {
        let mut server = TcpStream::connect(replica).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await
    };
    if joined.await.is_err() {
        // Refused or reset there is reset here.
        drop(client.set_zero_linger());
    }
}
