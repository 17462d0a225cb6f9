//! Just enough HTTP/1.1 to read the answers to our own requests, at little cost: the load generator
//! shares the machine with what it measures.

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Bytes of the head, the empty line included.
    pub(super) length: usize,
    pub(super) body: Body,
    /// The connection ends with this answer.
    pub(super) closes: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(usize),
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// What is no HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The head at the start of `bytes`; none while it is not whole.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed)?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let version = first.next().filter(|version| version.starts_with("HTTP/1.")).ok_or(Malformed)?;
    let status: u16 = first.next().and_then(|status| status.parse().ok()).ok_or(Malformed)?;
    let mut body = if status == 204 || status == 304 { Body::Length(0) } else { Body::UntilClose };
    let mut closes = version == "HTTP/1.0";
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Malformed)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.parse().map_err(|_| Malformed)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = if value.eq_ignore_ascii_case("chunked") { Body::Chunked } else { return Err(Malformed) };
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    closes |= body == Body::UntilClose;
    Ok(Some(Head { status, length: end + 4, body, closes }))
}

/// A body in chunks: its content and how many bytes it takes; none while it is not whole.
pub(super) fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = line_end(&bytes[at..]) else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| Malformed)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| Malformed)?;
        at += line + 2;
        if size == 0 {
            // Trailers, then an empty line.
            loop {
                match line_end(&bytes[at..]) {
                    None => return Ok(None),
                    Some(0) => return Ok(Some((content, at + 2))),
                    Some(line) => at += line + 2,
                }
            }
        }
        let end = at.checked_add(size).and_then(|end| end.checked_add(2)).ok_or(Malformed)?;
        if bytes.len() < end {
            return Ok(None);
        }
        content.extend_from_slice(&bytes[at..at + size]);
        at = end;
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|window| window == b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whole_or_not_at_all() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n\r\n{}";
        let expected = Head { status: 200, length: 45, body: Body::Length(12), closes: false };
        for end in 0..45 {
            assert_eq!(head(&text[..end]), Ok(None), "{end}");
        }
        assert_eq!(head(text), Ok(Some(expected)));
        let closing =
            head(b"HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap().unwrap();
        assert!(closing.closes && closing.status == 503);
        let endless = head(b"HTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap();
        assert_eq!((endless.body, endless.closes), (Body::UntilClose, true));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for bad in
            ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]
        {
            assert_eq!(head(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn chunks_are_put_together() {
        let text = b"4\r\nabcd\r\n3;ext=1\r\nefg\r\n0\r\nt: 1\r\n\r\nrest";
        let whole = text.len() - 4;
        for end in 0..whole {
            assert_eq!(chunked(&text[..end]), Ok(None), "{end}");
        }
        assert_eq!(chunked(text), Ok(Some((b"abcdefg".to_vec(), whole))));
        assert_eq!(chunked(b"zz\r\n"), Err(Malformed));
    }
}
