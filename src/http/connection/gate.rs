//! What HTTP allows and a careful server must not take: looked for in the bytes, before the library.
//!
//! The library is lenient where a proxy in front may read a request otherwise: two lengths, two
//! codings, bare line feeds, no host or two. The stream shows every byte to its gate first. The gate
//! follows where each HTTP/1 request begins and ends, pipelined ones too and however reads cut
//! them, and checks the framing lines of each header. From an offence on, the library gets bytes that
//! are no header and then the end: it answers 400 by itself, and closes. Nothing behind an offence is
//! ever parsed.
//!
//! Invariant: a request that the library takes ends where the gate thinks it ends. What only the
//! library refuses (names, versions, chunk sizes) ends the connection, so the gate need not know of
//! it. A line that lies in one read is checked where it lies, without a copy.

use std::io;

use memchr::memchr_iter;
use tokio::io::ReadBuf;

use super::frames::Frames;

/// No header, whatever stands before it; with an end, because the library parses nothing without.
const NO_HEADER: &[u8] = b"\0\r\n\r\n";
/// Of a line that a read cut, so many bytes are kept at its begin and at its end: more than any length,
/// coding or host takes, and than a request line's version.
const KEPT: (usize, usize) = (512, 16);
/// What follows the first line of HTTP/2's preface.
const PREFACE_REST: u32 = 8;

/// The reader of one connection's bytes.
#[derive(Debug, Default)]
pub(super) struct Gate {
    place: Place,
    /// The beginning of a line that the last read cut.
    line: Vec<u8>,
    /// After an offence: what the library has still to get before the end.
    refusal: Option<&'static [u8]>,
}

#[derive(Debug)]
enum Place {
    Head(Head),
    /// So many bytes of a body are to come.
    Body(u64),
    Chunks(Chunks),
    Http2(Frames),
}

impl Default for Place {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// Why bytes are not handed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The header is at fault from this byte of the read on, or from an earlier read's.
    Header(usize),
    /// An HTTP/2 peer sends more idle frames than it is due.
    Flood,
}

impl Gate {
    /// Looks at what was read into `buffer` behind `before` and takes back what must not be handed on.
    /// `marks`: the nanosecond of the read, and the bytes written to the peer so far.
    ///
    /// # Errors
    /// When an HTTP/2 peer floods us: the connection is to be closed.
    pub(super) fn screen(
        &mut self,
        buffer: &mut ReadBuf<'_>,
        before: usize,
        marks: (u64, u64),
    ) -> io::Result<()> {
        match self.admit(&buffer.filled()[before..], marks) {
            Ok(()) => Ok(()),
            Err(Refused::Header(at)) => {
                buffer.set_filled(before + at);
                self.refusal = Some(NO_HEADER);
                if at == 0 {
                    self.refuses(buffer);
                }
                Ok(())
            }
            Err(Refused::Flood) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// After an offence, gives what the library gets instead of the client's bytes; true if so.
    pub(super) fn refuses(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(rest) = self.refusal else { return false };
        let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.refusal = Some(later);
        true
    }

    fn admit(&mut self, bytes: &[u8], marks: (u64, u64)) -> Result<(), Refused> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.place {
                Place::Head(_) => self.read_head(rest).map_err(|line| Refused::Header(at + line))?,
                Place::Body(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.place = Place::default();
                    }
                    taken
                }
                Place::Chunks(chunks) => {
                    let (taken, is_end) = chunks.read(rest);
                    if is_end {
                        self.place = Place::default();
                    }
                    taken
                }
                Place::Http2(frames) => {
                    return if frames.read(rest, marks) { Ok(()) } else { Err(Refused::Flood) };
                }
            };
        }
        Ok(())
    }

    /// Takes lines up to the header's end, or the last one's beginning; returns how many bytes that is.
    /// On an offence: where its line begins.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let mut at = 0;
        for end in memchr_iter(b'\n', bytes) {
            let (begin, line) = (at, &bytes[at..=end]);
            let Place::Head(head) = &mut self.place else { return Ok(at) };
            at = end + 1;
            let next = if self.line.is_empty() {
                head.read(line)
            } else {
                keep(&mut self.line, line);
                head.read(&std::mem::take(&mut self.line))
            };
            if let Some(next) = next.map_err(|Offence| begin)? {
                self.place = next;
                return Ok(at);
            }
        }
        keep(&mut self.line, &bytes[at..]);
        Ok(bytes.len())
    }
}

/// Adds a piece to a line; of a long line only its begin and its end stay.
fn keep(line: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(KEPT.0) {
        line.extend_from_slice(piece);
        let tail = line.len().saturating_sub(KEPT.1);
        if tail > KEPT.0 {
            // The cut shows as a byte that no length, coding or host may hold.
            line[KEPT.0] = 0;
            line.drain(KEPT.0 + 1..tail);
        }
    }
}

/// A header breaks a rule.
struct Offence;

/// What the lines of a header have told so far.
#[derive(Debug, Default)]
struct Head {
    host: Host,
    is_chunked: bool,
    length: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Host {
    /// The request's first line is still to come.
    #[default]
    Unknown,
    Needed,
    Optional,
    Given,
}

impl Head {
    /// Takes one line, its end included; returns what comes behind the header's last.
    fn read(&mut self, line: &[u8]) -> Result<Option<Place>, Offence> {
        let line = line.strip_suffix(b"\r\n").ok_or(Offence)?;
        if self.host == Host::Unknown {
            return Ok(self.begin(line));
        }
        let Some(first) = line.first() else { return self.end().map(Some) };
        match first {
            b'H' | b'h' => self.note_host(line)?,
            b'C' | b'c' => self.note_length(line)?,
            b'T' | b't' => self.note_coding(line)?,
            b' ' | b'\t' => return Err(Offence),
            _ => {}
        }
        Ok(None)
    }

    /// Takes the first line. Empty lines before a request are no part of it.
    fn begin(&mut self, line: &[u8]) -> Option<Place> {
        if !line.is_empty() {
            self.host = if line.ends_with(b" HTTP/1.1") { Host::Needed } else { Host::Optional };
        }
        line.ends_with(b" HTTP/2.0").then(|| Place::Http2(Frames::behind(PREFACE_REST)))
    }

    fn note_host(&mut self, line: &[u8]) -> Result<(), Offence> {
        let Some(host) = value_of(b"host", line) else { return Ok(()) };
        if self.host == Host::Given || !host.iter().all(|byte| is_of_host(*byte)) {
            return Err(Offence);
        }
        self.host = Host::Given;
        Ok(())
    }

    fn note_length(&mut self, line: &[u8]) -> Result<(), Offence> {
        let Some(length) = value_of(b"content-length", line) else { return Ok(()) };
        let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok()).ok_or(Offence)?;
        if self.is_chunked || self.length.replace(length).is_some() {
            return Err(Offence);
        }
        Ok(())
    }

    fn note_coding(&mut self, line: &[u8]) -> Result<(), Offence> {
        let Some(coding) = value_of(b"transfer-encoding", line) else { return Ok(()) };
        if self.is_chunked || self.length.is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Offence);
        }
        self.is_chunked = true;
        Ok(())
    }

    fn end(&self) -> Result<Place, Offence> {
        if self.host == Host::Needed {
            return Err(Offence);
        }
        Ok(match self.length {
            _ if self.is_chunked => Place::Chunks(Chunks::default()),
            Some(length) if length > 0 => Place::Body(length),
            _ => Place::default(),
        })
    }
}

/// The value of a line if it has this name. A space before the colon is refused by the library.
fn value_of<'a>(name: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Whether a host or its port may hold the byte.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>')
}

/// Where in a chunked body the bytes are. As lenient as the library at most in what it refuses.
#[derive(Debug, Default)]
struct Chunks {
    part: Part,
    /// The size of the chunk as far as it is read; then its bytes to come, with their line end.
    size: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    /// Where either a trailer or the last line end begins.
    Last,
    Trailer,
    TrailerEnd,
    End,
}

impl Chunks {
    /// Returns how many bytes were taken, and whether they end the body.
    fn read(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if matches!(self.part, Part::Data) {
                let taken = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.part = Part::Size;
                }
                continue;
            }
            at += 1;
            if matches!(self.part, Part::End) {
                return (at, true);
            }
            self.step(*byte);
        }
        (at, false)
    }

    fn step(&mut self, byte: u8) {
        self.part = match (self.part, byte) {
            (Part::Size | Part::Extension, b'\r') => Part::SizeEnd,
            (Part::Size, _) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    self.size = self.size.saturating_mul(16).saturating_add(u64::from(digit));
                    Part::Size
                }
                None => Part::Extension,
            },
            (Part::SizeEnd, _) if self.size > 0 => {
                self.size = self.size.saturating_add(2);
                Part::Data
            }
            (Part::Last, b'\r') => Part::End,
            (Part::Trailer, b'\r') => Part::TrailerEnd,
            (Part::SizeEnd | Part::TrailerEnd, _) => Part::Last,
            (Part::Last | Part::Trailer, _) => Part::Trailer,
            (part @ (Part::Extension | Part::Data | Part::End), _) => part,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    const NOW: (u64, u64) = (1, 0);

    /// Feeds pieces; whether one was refused, and where the gate is at the end.
    fn fed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (bool, String) {
        let mut gate = Gate::default();
        let is_refused = pieces.into_iter().any(|piece| gate.admit(piece, NOW).is_err());
        (is_refused, if is_refused { String::new() } else { format!("{:?}", gate.place) })
    }

    fn start() -> String {
        format!("{:?}", Place::default())
    }

    const GOOD: [&str; 10] = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHOST:a.b-c:80\r\nx-long: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: [::1]:80\r\nhosts: a, b\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nContent-Length:  5 \r\n\r\nGET \n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-lengthy: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;x=\"y\"\r\n\r\n0\r\n\r\na \r\n0123456789\r\n00\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\n0\r\n0\r\nx: y\r\nhost: b\r\n\r\n",
    ];

    const BAD: [&str; 22] = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n\t2\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n",
    ];

    #[test]
    fn good_requests_pass_and_leave_the_gate_before_a_header() {
        for request in GOOD {
            assert_eq!(fed([request.as_bytes()]), (false, start()), "{request:?}");
        }
        assert_eq!(fed([GOOD.concat().as_bytes()]), (false, start()));
    }

    #[test]
    fn offences_are_found_wherever_they_stand() {
        for request in BAD {
            assert!(fed([request.as_bytes()]).0, "{request:?}");
            let behind = [GOOD.concat().as_str(), request].concat();
            assert!(fed([behind.as_bytes()]).0, "{request:?}");
        }
    }

    #[test]
    fn what_is_refused_begins_with_the_offending_line() {
        let bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nx: y\nz: z\r\n\r\n";
        let at = bytes.windows(3).position(|window| window == b"x: ").unwrap();
        assert_eq!(Gate::default().admit(bytes, NOW), Err(Refused::Header(at)));
    }

    #[test]
    fn the_library_gets_the_bytes_before_an_offence_then_no_header_then_the_end() {
        let (mut gate, mut got, mut space) = (Gate::default(), Vec::new(), [0; 64]);
        for piece in ["GET / HTTP/1.1\r\nx: y\n\r\n", "GET"] {
            let mut buffer = ReadBuf::new(&mut space);
            if !gate.refuses(&mut buffer) {
                buffer.put_slice(piece.as_bytes());
                gate.screen(&mut buffer, 0, NOW).unwrap();
            }
            got.extend_from_slice(buffer.filled());
        }
        assert_eq!(got, b"GET / HTTP/1.1\r\n\0\r\n\r\n");
        let mut buffer = ReadBuf::new(&mut space);
        assert!(gate.refuses(&mut buffer) && buffer.filled().is_empty());
    }

    #[test]
    fn a_long_line_is_not_kept_whole_and_hides_nothing() {
        let mut gate = Gate::default();
        gate.admit(b"GET /", NOW).unwrap();
        for _ in 0..1000 {
            gate.admit(&[b'a'; 100], NOW).unwrap();
        }
        assert!(gate.line.capacity() < 4 * KEPT.0, "{}", gate.line.capacity());
        gate.admit(b" HTTP/1.1\r\nhost: a\r\n\r\n", NOW).unwrap();
        assert_eq!(format!("{:?}", gate.place), start());
        let zeros = "0".repeat(2000);
        let padded = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {zeros}1{zeros}5\r\n\r\n");
        assert!(fed(padded.as_bytes().chunks(7)).0);
    }

    #[test]
    fn the_preface_of_http2_is_told_from_a_request() {
        let (is_refused, place) = fed([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]]);
        assert!(!is_refused && place.starts_with("Http2"), "{place}");
    }

    proptest! {
        #[test]
        fn where_reads_cut_makes_no_difference(
            which in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
            cuts in prop::collection::vec(1_usize..40, 0..60),
        ) {
            let all: Vec<&str> = GOOD.into_iter().chain(BAD).collect();
            let bytes: Vec<u8> = which.iter().flat_map(|index| index.get(&all).bytes()).collect();
            let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
            for cut in cuts {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            pieces.push(rest);
            prop_assert_eq!(fed(pieces), fed([&bytes[..]]));
        }
    }
}
