//! Answers that go out compressed, where the caller takes that: negotiation by Accept-Encoding, and
//! the packing itself.

use bytes::Bytes;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};
use std::io::Write as _;

use crate::exchange::Encoding;

/// Smaller answers are not worth it.
const SMALLEST: usize = 1 << 10;
/// Larger ones are packed on the blocking pool: more than some milliseconds of work.
const LARGE: usize = 1 << 20;

/// Weights in thousandths, as RFC 9110 writes them.
pub(super) const FULL: u16 = 1000;

/// The encoding that the caller likes best: the one of the highest weight, gzip where they are
/// equal. None where it takes neither, or would rather have the answer plain. That it refuses a
/// plain answer is not heard.
pub(super) fn negotiated(headers: &HeaderMap) -> Option<Encoding> {
    let (mut gzip, mut deflate, mut identity, mut others) = (None, None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for entry in value.to_str().unwrap_or_default().split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.next().map_or(FULL, weight);
            match Encoding::named(name) {
                Some(Encoding::Gzip) => gzip = Some(weight),
                Some(Encoding::Deflate) => deflate = Some(weight),
                None if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
                None if name == "*" => others = Some(weight),
                None => {}
            }
        }
    }
    let [gzip, deflate] = [gzip, deflate].map(|own| own.or(others).unwrap_or_default());
    let (best, encoding) =
        if gzip >= deflate { (gzip, Encoding::Gzip) } else { (deflate, Encoding::Deflate) };
    (best > 0 && best >= identity.unwrap_or_default()).then_some(encoding)
}

/// `q=0.5` in thousandths; 0 for what is no weight.
pub(super) fn weight(parameter: &str) -> u16 {
    let text = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")).unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if is_number && fraction.bytes().all(|byte| byte == b'0') => FULL,
        "0" if is_number => format!("{fraction:0<3}").parse().unwrap_or_default(),
        _ => 0,
    }
}

/// Packs an answer of at least 1 KiB in `encoding`, as fast as can be; says so in the answer's
/// `headers`, and that the answer depends on what the caller takes. The length is the caller's to set.
pub(super) async fn compress(encoding: Option<Encoding>, body: Bytes, headers: &mut HeaderMap) -> Bytes {
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    let Some(encoding) = encoding.filter(|_| body.len() >= SMALLEST) else { return body };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    deflate_body(encoding, body).await
}

/// `body` in `encoding`; large ones are packed on the blocking pool.
pub(super) async fn deflate_body(encoding: Encoding, body: Bytes) -> Bytes {
    if body.len() < LARGE {
        return packed(encoding, &body);
    }
    let plain = body.clone();
    let work = tokio::task::spawn_blocking(move || packed(encoding, &plain));
    // The pool takes no more work at the very end of the process.
    work.await.unwrap_or_else(|_ended| packed(encoding, &body))
}

fn packed(encoding: Encoding, body: &[u8]) -> Bytes {
    let into = Vec::with_capacity(body.len() / 4);
    let level = flate2::Compression::fast();
    let packed = match encoding {
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(into, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        Encoding::Deflate => {
            let mut encoder = ZlibEncoder::new(into, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
    };
    packed.expect("writing to memory cannot fail").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn best(values: &[&'static str]) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        negotiated(&headers)
    }

    #[test]
    fn the_highest_weight_wins_and_gzip_where_they_are_equal() {
        let (gzip, deflate) = (Some(Encoding::Gzip), Some(Encoding::Deflate));
        for (values, expected) in [
            (&[][..], None),
            (&["gzip"], gzip),
            (&["deflate, gzip"], gzip),
            (&["deflate", "X-GZIP"], gzip),
            (&["deflate;q=0.9, gzip;q=0.8"], deflate),
            (&["gzip;q=0, deflate"], deflate),
            (&["gzip; q=0.001"], gzip),
            (&["gzip;q=0"], None),
            (&["*"], gzip),
            (&["*;q=0.5, gzip;q=0"], deflate),
            (&["br, zstd"], None),
            (&["identity;q=0"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip"], gzip),
            (&["identity, gzip"], gzip),
            (&["gzip;q=2, deflate;q=1.001"], None),
            (&["gzip;q=high"], None),
            (&["gzip;q=1.000"], gzip),
        ] {
            assert_eq!(best(values), expected, "{values:?}");
        }
    }

    #[tokio::test]
    async fn what_is_packed_is_the_same_when_unpacked() {
        for length in [SMALLEST - 1, SMALLEST, LARGE + 1] {
            let body = Bytes::from((0..=255).cycle().take(length).collect::<Vec<u8>>());
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                let mut headers = HeaderMap::new();
                let packed = compress(Some(encoding), body.clone(), &mut headers).await;
                assert_eq!(headers[VARY], "accept-encoding");
                if length < SMALLEST {
                    assert_eq!((packed, headers.get(CONTENT_ENCODING)), (body.clone(), None));
                    continue;
                }
                assert_eq!(headers[CONTENT_ENCODING], encoding.name());
                assert!(packed.len() < length / 2);
                let mut plain = Vec::new();
                match encoding {
                    Encoding::Gzip => flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain),
                    Encoding::Deflate => flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut plain),
                }
                .unwrap();
                assert_eq!(plain, body);
            }
        }
        let mut headers = HeaderMap::new();
        let body = Bytes::from(vec![0; SMALLEST]);
        assert_eq!(compress(None, body.clone(), &mut headers).await, body);
        assert_eq!((headers.len(), &headers[VARY]), (1, &HeaderValue::from_static("accept-encoding")));
    }
}
