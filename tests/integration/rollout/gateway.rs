//! A proxy that knows requests, as an ingress: its connections to the replicas are its own, and kept.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::client::Client;
use super::endpoints::Follower;

pub(super) struct Gateway {
    follower: Arc<Follower>,
    idle: Mutex<HashMap<SocketAddr, Vec<Client>>>,
}

impl Gateway {
    pub(super) fn new(follower: Arc<Follower>) -> Arc<Self> {
        Arc::new(Self { follower, idle: Mutex::default() })
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            client.set_nodelay(true).unwrap();
            let gateway = Arc::clone(&self);
            let pass = move |request| Arc::clone(&gateway).pass(request);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(client), service_fn(pass)));
        }
    }

    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let answer = match body.collect().await {
            Ok(body) => self.forward(Request::from_parts(head, Full::new(body.to_bytes()))).await,
            Err(error) => Err(error.to_string()),
        };
        Ok(answer.unwrap_or_else(|failure| {
            let mut answer = Response::new(Full::new(failure.into()));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }))
    }

    /// Nothing is tried twice here either.
    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, String> {
        let replica = self.follower.next().http;
        let mut client = self.take(replica);
        let mut answer = client.send(request).await?;
        self.give_back(replica, client);
        // It is about the connection to the replica.
        answer.headers_mut().remove(CONNECTION);
        Ok(answer.map(Full::new))
    }

    fn take(&self, replica: SocketAddr) -> Client {
        let mut idle = self.idle.lock().unwrap();
        idle.get_mut(&replica).and_then(Vec::pop).unwrap_or_else(|| Client::new(replica))
    }

    fn give_back(&self, replica: SocketAddr, client: Client) {
        let mut idle = self.idle.lock().unwrap();
        if client.is_open() {
            idle.entry(replica).or_default().push(client);
        }
        idle.retain(|replica, _| self.follower.knows(*replica));
    }
}
