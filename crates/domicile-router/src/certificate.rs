//! Whom a client's certificate names.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;

/// The common name in a certificate's subject; `None` where it has none, or several, or what it
/// holds is no text.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let mut names = parts.filter(|part| part.oid == COMMON_NAME);
    let (name, None) = (&names.next()?.value, names.next()) else { return None };
    let text = name
        .decode_as::<Utf8StringRef<'_>>()
        .map(|text| text.as_str().to_owned())
        .or_else(|_| name.decode_as::<PrintableStringRef<'_>>().map(|t| t.as_str().to_owned()))
        .or_else(|_| name.decode_as::<Ia5StringRef<'_>>().map(|t| t.as_str().to_owned()))
        .ok()?;
    (!text.contains('\0')).then_some(text)
}
