//! When a certificate ends: the one field of X.509 that the TLS library reads and does not tell.
//!
//! Walks DER down to `notAfter` and no further, on certificates that operators configure.

use std::time::SystemTime;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, SliceReader, Tag, Tagged};

/// The end of the DER certificate's validity.
///
/// # Errors
/// When it is no X.509 certificate.
pub(super) fn not_after(certificate: &[u8]) -> der::Result<SystemTime> {
    let mut certificate = inside(&AnyRef::from_der(certificate)?)?;
    let mut fields = inside(&AnyRef::decode(&mut certificate)?)?;
    let version_or_serial = AnyRef::decode(&mut fields)?;
    if version_or_serial.tag() != Tag::Integer {
        let _serial = AnyRef::decode(&mut fields)?;
    }
    let _signature_algorithm = AnyRef::decode(&mut fields)?;
    let _issuer = AnyRef::decode(&mut fields)?;
    let mut validity = inside(&AnyRef::decode(&mut fields)?)?;
    let _not_before = AnyRef::decode(&mut validity)?;
    let not_after = AnyRef::decode(&mut validity)?;
    if not_after.tag() == Tag::UtcTime {
        return Ok(not_after.decode_as::<UtcTime>()?.to_system_time());
    }
    Ok(not_after.decode_as::<GeneralizedTime>()?.to_system_time())
}

/// What a sequence holds.
fn inside<'a>(value: &AnyRef<'a>) -> der::Result<SliceReader<'a>> {
    value.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(value.value())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_is_read_in_both_forms_of_time_and_nothing_else_is_taken() {
        let key = KeyPair::generate().unwrap();
        // Up to 2049 as UTCTime, then as GeneralizedTime.
        for (year, seconds) in [(2031, 1_924_992_000), (2050, 2_524_608_000)] {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&key).unwrap();
            let ends = not_after(certificate.der()).unwrap();
            assert_eq!(ends, UNIX_EPOCH + Duration::from_secs(seconds));
            let der = certificate.der();
            for length in [0, 1, 20, der.len() - 1] {
                assert!(not_after(&der[..length]).is_err(), "{length}");
            }
        }
        assert!(not_after(&key.serialize_der()).is_err());
    }
}
