//! Bodies that come compressed: which encodings are taken, and how they are unpacked.
//!
//! Nothing is believed of a stream but its bytes: the caller takes what was unpacked piece by piece
//! and ends the work when a bound is passed, so that a bomb costs no more than the bound. Pieces are
//! small and other requests get their turn in between.

use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::service::{ErrorCode, ServiceError};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952; several members count as one stream.
    Gzip,
    /// RFC 1950, or, as some clients have it, bare RFC 1951.
    Deflate,
}

impl Encoding {
    /// The name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The encoding that a header calls `name`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            return Some(Self::Gzip);
        }
        is("deflate").then_some(Self::Deflate)
    }
}

/// The encoding of a request's body; none for a body that lies there as it is.
///
/// # Errors
/// `unsupported_media_type` for others and for more than one; the detail says what is taken.
pub fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, ServiceError> {
    let refused = || {
        let detail = "send the body plain, or with Content-Encoding gzip or deflate, once; no other is taken";
        ServiceError::new(ErrorCode::UnsupportedMediaType, detail)
    };
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| refused())?.split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")) {
            let encoding = Encoding::named(name).ok_or_else(refused)?;
            if found.replace(encoding).is_some() {
                return Err(refused());
            }
        }
    }
    Ok(found)
}

/// Bytes that are unpacked at once.
const PIECE: usize = 64 << 10;
/// Bytes read and unpacked before others get their turn: well under a millisecond of work.
const TURN: usize = 256 << 10;
/// What a step costs beside its bytes: a stream can be cut into many members without any.
const STEP: usize = 4 << 10;
/// The largest window, as every encoder may use it.
const WINDOW_BITS: u8 = 15;

/// Unpacks `packed` and gives it to `take` piece by piece.
///
/// # Errors
/// `invalid_input` when the stream is corrupt, cut off, or has other bytes behind it; and whatever
/// `take` returns.
pub(super) async fn inflate(
    encoding: Encoding,
    packed: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let invalid = || {
        let detail = format!("the body is not valid {}", encoding.name());
        ServiceError::new(ErrorCode::InvalidInput, detail)
    };
    let mut rest = packed;
    let mut stream = match encoding {
        Encoding::Gzip => Decompress::new_gzip(WINDOW_BITS),
        Encoding::Deflate => Decompress::new(has_zlib_header(packed)),
    };
    let mut piece = vec![0; PIECE];
    let mut work = 0;
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let status =
            stream.decompress(rest, &mut piece, FlushDecompress::None).map_err(|_corrupt| invalid())?;
        let read = usize::try_from(stream.total_in() - read).unwrap_or_default();
        let written = usize::try_from(stream.total_out() - written).unwrap_or_default();
        rest = &rest[read..];
        take(&piece[..written])?;
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(()),
            Status::StreamEnd if encoding == Encoding::Gzip => stream.reset(true),
            Status::StreamEnd => return Err(invalid()),
            // Nothing moves and the end has not come: it is cut off.
            Status::Ok | Status::BufError if read == 0 && written == 0 => return Err(invalid()),
            Status::Ok | Status::BufError => {}
        }
        work += read + written + STEP;
        if work > TURN {
            work = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// A zlib header is two bytes with a method and a check; a bare stream can't begin like one, since
/// its first bits would be a stored block with its padding set.
fn has_zlib_header(packed: &[u8]) -> bool {
    let [first, second, ..] = *packed else { return true };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(encoding: Encoding, packed: &[u8]) -> Result<Vec<u8>, ErrorCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut all = Vec::new();
        let take = |piece: &[u8]| {
            all.extend_from_slice(piece);
            Ok(())
        };
        let result = runtime.block_on(inflate(encoding, packed, take));
        result.map(|()| all).map_err(|error| error.code)
    }

    const BAD: ErrorCode = ErrorCode::InvalidInput;

    proptest! {
        #[test]
        fn whatever_was_packed_comes_out(
            content in prop::collection::vec(any::<u8>(), 0..300),
            repeated in 1_usize..900,
        ) {
            let content = content.repeat(repeated);
            prop_assert_eq!(unpacked(Encoding::Gzip, &gzip(&content)), Ok(content.clone()));
            prop_assert_eq!(unpacked(Encoding::Deflate, &zlib(&content)), Ok(content.clone()));
            prop_assert_eq!(unpacked(Encoding::Deflate, &raw(&content)), Ok(content));
        }

        #[test]
        fn noise_is_refused_or_unpacked_and_never_a_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                prop_assert!(unpacked(encoding, &noise).map_or_else(|code| code == BAD, |_| true));
            }
        }
    }

    #[test]
    fn several_members_are_one_stream() {
        let members = [gzip(b"ab"), gzip(b""), gzip(b"cd")].concat();
        assert_eq!(unpacked(Encoding::Gzip, &members), Ok(b"abcd".to_vec()));
        let many = gzip(b"").repeat(1000);
        assert_eq!(unpacked(Encoding::Gzip, &many), Ok(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_corrupt_or_followed_by_more_is_refused() {
        let content: Vec<u8> = (0..=255).cycle().take(2000).collect();
        for (encoding, whole) in [
            (Encoding::Gzip, gzip(&content)),
            (Encoding::Deflate, zlib(&content)),
            (Encoding::Deflate, raw(&content)),
        ] {
            for end in [0, 1, 5, whole.len() / 2, whole.len() - 1] {
                assert_eq!(unpacked(encoding, &whole[..end]), Err(BAD), "{encoding:?} {end}");
            }
            for junk in [&b"\0"[..], b"junk", &b"\x1f\x8b"[..]] {
                assert_eq!(unpacked(encoding, &[&whole, junk].concat()), Err(BAD), "{encoding:?} {junk:?}");
            }
        }
        let mut flipped = gzip(&content);
        let checksum = flipped.len() - 6;
        flipped[checksum] ^= 1;
        assert_eq!(unpacked(Encoding::Gzip, &flipped), Err(BAD));
        assert_eq!(unpacked(Encoding::Gzip, b"{\"x\": 1}"), Err(BAD));
    }

    #[test]
    fn a_bomb_stops_where_its_taker_has_enough() {
        let bomb = gzip(&vec![0; 16 << 20]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut came = 0;
        let take = |piece: &[u8]| {
            came += piece.len();
            let full = ServiceError::new(ErrorCode::PayloadTooLarge, "enough");
            if came > 1 << 20 { Err(full) } else { Ok(()) }
        };
        let error = runtime.block_on(inflate(Encoding::Gzip, &bomb, take)).unwrap_err();
        assert_eq!(error.code, ErrorCode::PayloadTooLarge);
        assert!(came <= (1 << 20) + PIECE, "{came}");
    }

    #[test]
    fn one_encoding_that_we_know_or_none() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, http::HeaderValue::from_static(value));
            }
            encoding(&headers).map_err(|error| error.code)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["GZip"]), Ok(Some(Encoding::Gzip)));
        assert_eq!(of(&["identity, x-gzip"]), Ok(Some(Encoding::Gzip)));
        assert_eq!(of(&["identity", "deflate"]), Ok(Some(Encoding::Deflate)));
        for refused in [&["br"][..], &["zstd"], &["gzip, gzip"], &["gzip", "deflate"], &["x-unknown"]] {
            assert_eq!(of(refused), Err(ErrorCode::UnsupportedMediaType), "{refused:?}");
        }
    }
}
