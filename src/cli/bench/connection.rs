//! One keep-alive connection to a server, opened when it is first needed and again when it is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{self, Body, Head};
use super::drive::Exchange;

/// An answer that takes longer counts as `timeout`.
const PATIENCE: Duration = Duration::from_mins(1);
/// No answer that we ask for is longer.
const LONGEST_ANSWER: usize = 64 << 20;

/// A server to measure, and where its name led.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// For the host header.
    authority: String,
}

impl Server {
    /// Looks the URL's host up.
    ///
    /// # Errors
    /// When it has no address.
    pub(super) fn find(uri: &http::Uri) -> Result<Self, String> {
        use std::net::ToSocketAddrs;
        let host = uri.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let found = (name, uri.port_u16().unwrap_or(80)).to_socket_addrs();
        let address = found.map_err(|error| format!("{host}: {error}"))?.next();
        let authority = uri.authority().map_or_else(|| host.to_owned(), ToString::to_string);
        Ok(Self { address: address.ok_or_else(|| format!("{host} has no address"))?, authority })
    }

    /// Whether it runs on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// The bytes of a request; with a body it is a POST, which may have a deadline.
    pub(super) fn request(&self, path: &str, body: Option<&[u8]>, deadline: Option<Duration>) -> Arc<[u8]> {
        let host = &self.authority;
        let Some(body) = body else {
            return format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes().into();
        };
        let length = body.len();
        // The header knows whole milliseconds.
        let deadline = deadline.map(|time| time.as_nanos().div_ceil(1_000_000));
        let deadline = deadline.map_or_else(String::new, |time| format!("x-request-timeout-ms: {time}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{deadline}content-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat().into()
    }

    /// A connection that sends `request` over and over.
    pub(super) fn connection(&self, request: Arc<[u8]>) -> Connection {
        Connection { address: self.address, request, stream: None, buffer: Vec::new() }
    }

    /// Asks once: status and body.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn get(&self, path: &str) -> Result<(u16, Vec<u8>), String> {
        let mut connection = self.connection(self.request(path, None, None));
        let asked = tokio::time::timeout(PATIENCE, connection.exchange()).await;
        let (status, body) = asked.map_err(|_elapsed| "timeout".to_owned())?.map_err(str::to_owned)?;
        Ok((status, body.into_owned()))
    }
}

/// A connection and the request that it repeats.
pub(super) struct Connection {
    address: SocketAddr,
    request: Arc<[u8]>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Exchange for Connection {
    async fn once(&mut self) -> Result<(), String> {
        let result = match tokio::time::timeout(PATIENCE, self.exchange()).await {
            Ok(Ok((200..300, _))) => return Ok(()),
            Ok(Ok((status, _))) => return Err(status.to_string()),
            Ok(Err(fault)) => Err(fault.to_owned()),
            Err(_elapsed) => Err("timeout".to_owned()),
        };
        self.stream = None;
        result
    }
}

type Answer<'a> = (u16, std::borrow::Cow<'a, [u8]>);

impl Connection {
    async fn exchange(&mut self) -> Result<Answer<'_>, &'static str> {
        // Taken, so that a connection on which anything goes wrong is not used again.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await.map_err(|_| "connect")?,
        };
        stream.write_all(&self.request).await.map_err(|_| "closed")?;
        self.buffer.clear();
        let head = loop {
            read_more(&mut stream, &mut self.buffer).await?;
            if let Some(head) = answer::head(&self.buffer).map_err(|_| "malformed")? {
                break head;
            }
        };
        let body = read_body(&mut stream, &mut self.buffer, head).await?;
        if !head.closes {
            self.stream = Some(stream);
        }
        let body = match body {
            Some(content) => content.into(),
            None => (&self.buffer[head.length..]).into(),
        };
        Ok((head.status, body))
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads the rest of an answer; its content, where it is not what follows the head.
async fn read_body(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    head: Head,
) -> Result<Option<Vec<u8>>, &'static str> {
    match head.body {
        Body::Length(length) => {
            while buffer.len() - head.length < length {
                read_more(stream, buffer).await?;
            }
            Ok(None)
        }
        Body::Chunked => loop {
            if let Some((content, _)) = answer::chunked(&buffer[head.length..]).map_err(|_| "malformed")? {
                return Ok(Some(content));
            }
            read_more(stream, buffer).await?;
        },
        Body::UntilClose => loop {
            if stream.read_buf(buffer).await.map_err(|_| "closed")? == 0 {
                return Ok(None);
            }
            bounded(buffer)?;
        },
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), &'static str> {
    buffer.reserve(4096);
    if stream.read_buf(buffer).await.map_err(|_| "closed")? == 0 {
        return Err("closed");
    }
    bounded(buffer)
}

fn bounded(buffer: &[u8]) -> Result<(), &'static str> {
    if buffer.len() > LONGEST_ANSWER { Err("too long") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each connection's requests with what is in `answers`, then closes.
    async fn server(answers: &'static [&'static str]) -> (Server, http::Uri) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: http::Uri = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                for answer in answers {
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.unwrap() == 0 {
                        break;
                    }
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (Server::find(&uri).unwrap(), uri)
    }

    #[tokio::test]
    async fn every_kind_of_answer_counts_as_what_it_is() {
        let (server, _) = server(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        ])
        .await;
        assert!(server.is_local());
        let mut connection = server.connection(server.request("/x", Some(b"{}"), None));
        for _ in 0..2 {
            assert_eq!(connection.once().await, Ok(()));
            assert_eq!(connection.once().await, Err("503".to_owned()));
            // The server closes now; the next one finds out and is counted, the one after it reconnects.
            assert_eq!(connection.once().await, Err("closed".to_owned()));
        }
        assert_eq!(server.get("/x").await, Ok((200, b"ok".to_vec())));
    }
}
