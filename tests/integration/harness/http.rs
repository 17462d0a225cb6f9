//! HTTP/1.1 over a plain socket: small enough to see every byte, so that a test can break any rule.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::ledger::{HeaderEnds, Ledger};
use super::wait::PATIENCE;

/// A request as it will stand on the wire.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a JSON body and its content type.
    pub(crate) fn json(target: &str, body: &Value) -> Self {
        Self::text(target, "application/json", &body.to_string())
    }

    /// A POST with a body of any type.
    pub(crate) fn text(target: &str, content_type: &str, body: &str) -> Self {
        Self::new("POST", target).header("content-type", content_type).body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head
    }

    /// With `content-length` where there is a body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        if let Some(body) = &self.body {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
        } else {
            bytes.extend(b"\r\n");
        }
        bytes
    }

    /// The body in chunks of `size` bytes.
    pub(crate) fn chunked(&self, size: usize) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in self.body.as_deref().unwrap_or_default().chunks(size) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?} {}", self.text()))
    }

    /// The JSON of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

/// A connection that is kept open as long as the server allows.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    /// The last answer said that the server would close.
    is_closing: bool,
    ledger: Arc<Ledger>,
    ends: HeaderEnds,
    /// Requests that were sent and not answered yet.
    open: u64,
}

impl Connection {
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub(crate) fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let (stream, ledger) = (BufReader::new(stream), Ledger::of(address));
        Ok(Self { address, stream, is_closing: false, ledger, ends: HeaderEnds::default(), open: 0 })
    }

    /// Waits at most this long for what comes.
    pub(crate) fn patience(&self, limit: Duration) {
        self.stream.get_ref().set_read_timeout(Some(limit)).unwrap();
    }

    /// Sends a request and reads its answer. Opens a new connection where the last answer said that
    /// this one would be closed; one that just ends is a failure.
    #[track_caller]
    pub(crate) fn call(&mut self, request: &Request) -> Response {
        if self.is_closing {
            *self = Self::open(self.address);
        }
        self.send(&request.bytes(), 1).unwrap();
        let answer = if request.method == "HEAD" { self.try_read_head() } else { self.try_read() };
        answer.unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
    }

    /// Sends requests behind each other without waiting for answers, and reads the answers. What stands
    /// behind one whose answer ends the connection is sent again on a new one.
    #[track_caller]
    pub(crate) fn pipeline(&mut self, requests: &[Request]) -> Vec<Response> {
        let mut answers = Vec::with_capacity(requests.len());
        while answers.len() < requests.len() {
            if self.is_closing {
                *self = Self::open(self.address);
            }
            let left = &requests[answers.len()..];
            let bytes: Vec<u8> = left.iter().flat_map(Request::bytes).collect();
            // The other side may close before it has all.
            let sent = self.send(&bytes, left.len() as u64);
            while answers.len() < requests.len() && !self.is_closing {
                let answer = self.try_read();
                answers.push(answer.unwrap_or_else(|error| panic!("{error} (sending: {sent:?})")));
            }
        }
        answers
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// Sends bytes as far as the other side takes them.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let requests = self.ends.count(bytes);
        self.send(bytes, requests)
    }

    /// Sends bytes that hold so many requests.
    fn send(&mut self, bytes: &[u8], requests: u64) -> std::io::Result<()> {
        self.ledger.begin(requests);
        self.open += requests;
        self.stream.get_mut().write_all(bytes)
    }

    /// Notes the head of an answer that is not followed by another one to the same request.
    fn note(&mut self, response: &Response) {
        let was_routed = response.header("x-request-id").is_some();
        if was_routed {
            self.ledger.answered();
        } else {
            self.ledger.take_back(self.open.min(1));
        }
        self.open = self.open.saturating_sub(1);
        if self.is_closing {
            // Nothing behind it is read.
            self.ledger.take_back(std::mem::take(&mut self.open));
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&mut self) -> Response {
        self.try_read().unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Reads an answer that has no body whatever its headers say.
    pub(crate) fn try_read_head(&mut self) -> std::io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status =
            status.ok_or_else(|| std::io::Error::other(format!("no status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let response = Response { status, headers, body: Vec::new() };
        self.is_closing =
            response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if response.status >= 200 {
            self.note(&response);
        }
        Ok(response)
    }

    pub(crate) fn try_read(&mut self) -> std::io::Result<Response> {
        let mut response = self.try_read_head()?;
        if response.status == 100 {
            return self.try_read();
        }
        if matches!(response.status, 204 | 304) {
            return Ok(response);
        }
        if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(std::io::Error::other)?;
                let mut chunk = vec![0; size];
                self.stream.read_exact(&mut chunk)?;
                response.body.extend(chunk);
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().map_err(std::io::Error::other)?];
            self.stream.read_exact(&mut response.body)?;
        } else {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other("the connection was closed"));
        }
        Ok(line.trim_end().to_owned())
    }

    /// True when the other side closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
            || matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
    }
}
