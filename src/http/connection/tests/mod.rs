//! Connections over real sockets: a small service, raw clients, short timeouts.
//!
//! Nothing waits for a time to pass: tests wait for an answer, an end or an observed event, each
//! within [`PATIENCE`].

mod limits;
mod protocol;
mod stop;
mod timeouts;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::exchange::{ConnectionInfo, RequestStart};
use crate::shutdown::{Phase, Shutdown};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);
const GET: &str = "GET /ok HTTP/1.1\r\nhost: test\r\n\r\n";

/// What the observer heard, and what the service saw.
#[derive(Clone, Debug, Default)]
struct Heard {
    opened: usize,
    closed: usize,
    busy: usize,
    forced: usize,
    errors: Vec<ConnectionErrorKind>,
    /// Handlers that began to wait at the gate, and those of them that were dropped there.
    waiting: usize,
    dropped: usize,
}

#[derive(Debug, Default)]
struct Recorder(watch::Sender<Heard>);

impl Recorder {
    async fn until(&self, what: impl FnMut(&Heard) -> bool) -> Heard {
        let mut heard = self.0.subscribe();
        let found = timeout(PATIENCE, heard.wait_for(what)).await;
        let Ok(found) = found else { panic!("never heard; so far {:?}", self.0.borrow()) };
        found.unwrap().clone()
    }

    fn so_far(&self) -> Heard {
        self.0.borrow().clone()
    }
}

impl ConnectionObserver for Recorder {
    fn opened(&self) {
        self.0.send_modify(|heard| heard.opened += 1);
    }

    fn closed(&self) {
        self.0.send_modify(|heard| heard.closed += 1);
    }

    fn busy(&self) {
        self.0.send_modify(|heard| heard.busy += 1);
    }

    fn idle(&self) {
        self.0.send_modify(|heard| {
            assert!(heard.busy > 0, "idle before it was busy");
            heard.busy -= 1;
        });
    }

    fn error(&self, kind: ConnectionErrorKind) {
        self.0.send_modify(|heard| heard.errors.push(kind));
    }

    fn forced(&self) {
        self.0.send_modify(|heard| heard.forced += 1);
    }
}

/// Reports a handler that is dropped while it waits.
struct Waiting(Arc<Recorder>, bool);

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.1 {
            self.0.0.send_modify(|heard| heard.dropped += 1);
        }
    }
}

struct Server {
    addr: SocketAddr,
    heard: Arc<Recorder>,
    /// Lets one waiting handler go on.
    gate: Arc<Notify>,
    starts: Arc<Mutex<Vec<(Instant, ConnectionInfo)>>>,
    shutdown: Shutdown,
    task: JoinHandle<std::io::Result<ServeReport>>,
}

/// Timeouts so long that only those a test shortens can be met.
fn patient() -> ConnectionOptions {
    let long = PATIENCE * 3;
    ConnectionOptions {
        header_timeout: long,
        idle_timeout: long,
        write_timeout: long,
        ..ConnectionOptions::default()
    }
}

impl Server {
    fn start(options: ConnectionOptions) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (heard, gate, shutdown) = (Arc::<Recorder>::default(), Arc::<Notify>::default(), Shutdown::new());
        let starts = Arc::<Mutex<Vec<_>>>::default();
        let service = {
            let (heard, gate, starts) = (Arc::clone(&heard), Arc::clone(&gate), Arc::clone(&starts));
            tower::service_fn(move |request| {
                answer(request, Arc::clone(&heard), Arc::clone(&gate), Arc::clone(&starts))
            })
        };
        let task =
            tokio::spawn(serve(listener, service, options, Arc::<Recorder>::clone(&heard), shutdown.watch()));
        Self { addr, heard, gate, starts, shutdown, task }
    }

    async fn client(&self) -> Client {
        Client(timeout(PATIENCE, TcpStream::connect(self.addr)).await.unwrap().unwrap())
    }

    async fn report(self) -> ServeReport {
        timeout(PATIENCE, self.task).await.expect("serve never returned").unwrap().unwrap()
    }

    fn refuses_connections(&self) -> bool {
        std::net::TcpStream::connect(self.addr).is_err()
    }
}

async fn answer(
    request: Request<RequestBody>,
    heard: Arc<Recorder>,
    gate: Arc<Notify>,
    starts: Arc<Mutex<Vec<(Instant, ConnectionInfo)>>>,
) -> Result<Response<Body>, Infallible> {
    let start = *request.extensions().get::<RequestStart>().expect("start");
    let info = *request.extensions().get::<ConnectionInfo>().expect("info");
    starts.lock().unwrap().push((start.0, info));
    let path = request.uri().path().to_owned();
    let body = match path.as_str() {
        "/ok" => Body::from("ok"),
        "/wait" => {
            let mut waiting = Waiting(Arc::clone(&heard), false);
            if request.into_body().collect().await.is_err() {
                return Ok(Response::new(Body::from("broken body")));
            }
            heard.0.send_modify(|heard| heard.waiting += 1);
            gate.notified().await;
            waiting.1 = true;
            Body::from("waited")
        }
        // More than the sockets between us and a client that does not read can hold.
        "/large" => Body::from(vec![b'x'; 64 << 20]),
        "/trickle" => Body::new(Trickle { pieces: 3, gate, heard, wait: None }),
        "/echo" => {
            heard.0.send_modify(|heard| heard.waiting += 1);
            match request.into_body().collect().await {
                Ok(body) => Body::from(body.to_bytes()),
                Err(_) => Body::from("broken body"),
            }
        }
        "/panic" => panic!("as asked"),
        number => Body::from(number.to_owned()),
    };
    let mut response = Response::new(body);
    if path == "/close" {
        response.headers_mut().insert("connection", "close".parse().unwrap());
    }
    Ok(response)
}

/// A body that gives each piece when the gate opens.
struct Trickle {
    pieces: usize,
    gate: Arc<Notify>,
    heard: Arc<Recorder>,
    wait: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Trickle {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        if self.pieces == 0 {
            return std::task::Poll::Ready(None);
        }
        if self.wait.is_none() {
            let gate = Arc::clone(&self.gate);
            self.heard.0.send_modify(|heard| heard.waiting += 1);
            self.wait = Some(Box::pin(async move { gate.notified().await }));
        }
        std::task::ready!(self.wait.as_mut().unwrap().as_mut().poll(cx));
        self.wait = None;
        self.pieces -= 1;
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data("piece".into()))))
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) -> &mut Self {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self
    }

    /// Reads until what came contains `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&text).contains(end) {
            let count = timeout(PATIENCE, self.0.read(&mut chunk)).await.expect("no answer").unwrap();
            assert_ne!(count, 0, "ended after {:?}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8(text).unwrap()
    }

    async fn get(&mut self) {
        assert!(self.send(GET).await.until("\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }

    /// Reads to the end, which may be a reset.
    async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut text)).await.expect("still open").ok();
        String::from_utf8_lossy(&text).into_owned()
    }
}

type Sender = hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>>;

/// An HTTP/2 client by prior knowledge; the handle ends with the connection.
async fn h2_client(server: &Server) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let io = hyper_util::rt::TokioIo::new(server.client().await.0);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn h2_get(path: &str) -> Request<http_body_util::Empty<bytes::Bytes>> {
    Request::get(format!("http://test{path}")).body(http_body_util::Empty::new()).unwrap()
}

async fn h2_text(response: Response<Incoming>) -> String {
    let body = timeout(PATIENCE, response.into_body().collect()).await.expect("no body").unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// An HTTP/2 client of bare frames, for what a well-behaved one does not show.
struct Frames(TcpStream);

const GOAWAY: u8 = 7;
const PING: u8 = 6;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

impl Frames {
    async fn open(server: &Server) -> Self {
        let mut stream = server.client().await.0;
        // The preface and empty settings.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    async fn get(&mut self, stream: u32, path: &str) {
        self.0.write_all(&Self::request(stream, path)).await.unwrap();
    }

    /// HEADERS with END_STREAM and END_HEADERS: GET, http, the path, an authority of one byte.
    fn request(stream: u32, path: &str) -> Vec<u8> {
        let length = u8::try_from(path.len()).unwrap();
        let mut frame = vec![0, 0, 7 + length, HEADERS, 5];
        frame.extend(stream.to_be_bytes());
        frame.extend([0x82, 0x86, 0x41, 1, b'a', 0x04, length]);
        frame.extend(path.as_bytes());
        frame
    }

    /// Reads frames up to the next of `kind`; returns its payload.
    async fn until(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 9];
            timeout(PATIENCE, self.0.read_exact(&mut head)).await.expect("no frame").unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            timeout(PATIENCE, self.0.read_exact(&mut payload)).await.expect("half a frame").unwrap();
            if head[3] == kind {
                return payload;
            }
        }
    }

    /// Answers the ping that comes with GOAWAY.
    async fn leave(&mut self) {
        self.until(GOAWAY).await;
        let mut answer = vec![0, 0, 8, PING, 1, 0, 0, 0, 0];
        answer.extend(self.until(PING).await);
        self.0.write_all(&answer).await.unwrap();
    }
}
