//! What of a certificate the TLS library does not tell.
//!
//! X.509 certificates in DER, as far as the fields that are needed:
//! <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>.

const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// `id-ce-extKeyUsage`, 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// `id-kp-serverAuth`, 1.3.6.1.5.5.7.3.1.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// The fields of a certificate that are needed.
#[derive(Debug, PartialEq, Eq)]
pub struct CertificateFields<'a> {
    /// The public key with its algorithm, in DER.
    pub public_key_info: &'a [u8],
    /// What the key may be used for, if the certificate says so.
    extended_key_usage: Option<&'a [u8]>,
}

impl<'a> CertificateFields<'a> {
    /// Reads a certificate of any version; `None` if it is none.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let certificate = Der(der).next(SEQUENCE)?.content;
        let mut fields = Der(Der(certificate).next(SEQUENCE)?.content);
        fields.skip(VERSION);
        // Serial number, algorithm, issuer, validity and subject.
        for _ in 0..5 {
            fields.any()?;
        }
        let public_key_info = fields.next(SEQUENCE)?.whole;
        fields.skip(ISSUER_UNIQUE_ID);
        fields.skip(SUBJECT_UNIQUE_ID);
        let extended_key_usage = match fields.next(EXTENSIONS) {
            None => None,
            Some(extensions) => extended_key_usage(extensions.content).ok()?,
        };
        Some(Self { public_key_info, extended_key_usage })
    }

    /// Whether the certificate may be a server's: if it limits what it is for, this is among it.
    pub fn allows_servers(&self) -> bool {
        let Some(purposes) = self.extended_key_usage else { return true };
        let mut purposes = Der(purposes);
        std::iter::from_fn(|| purposes.next(OBJECT_IDENTIFIER))
            .any(|purpose| purpose.content == SERVER_AUTH)
    }
}

/// The content of an extension cannot be read.
struct Malformed;

/// The purposes of the extension, or `None` without it.
fn extended_key_usage(extensions: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut extensions = Der(Der(extensions).next(SEQUENCE).ok_or(Malformed)?.content);
    let mut found = None;
    while !extensions.0.is_empty() {
        let mut extension = Der(extensions.next(SEQUENCE).ok_or(Malformed)?.content);
        let name = extension.next(OBJECT_IDENTIFIER).ok_or(Malformed)?.content;
        if name != EXTENDED_KEY_USAGE {
            continue;
        }
        // Twice is against the rules, and which one counts would be a guess.
        if found.is_some() {
            return Err(Malformed);
        }
        let value = std::iter::from_fn(|| extension.any())
            .find(|element| element.tag == OCTET_STRING)
            .ok_or(Malformed)?;
        found = Some(Der(value.content).next(SEQUENCE).ok_or(Malformed)?.content);
    }
    Ok(found)
}

/// Elements of DER that follow each other.
struct Der<'a>(&'a [u8]);

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The next element, of whatever tag.
    fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The number of bytes that the length itself has.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next element if it has this tag; otherwise nothing is taken.
    fn next(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.any() } else { None }
    }

    /// Passes over the next element if it has this tag.
    fn skip(&mut self, tag: u8) {
        let _ = self.next(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with this content.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn usage(purposes: &[&[u8]]) -> Vec<u8> {
        let purposes: Vec<u8> =
            purposes.iter().flat_map(|purpose| der(OBJECT_IDENTIFIER, purpose)).collect();
        let critical = [0x01, 0x01, 0xff];
        let value = der(OCTET_STRING, &der(SEQUENCE, &purposes));
        der(
            SEQUENCE,
            &[&der(OBJECT_IDENTIFIER, EXTENDED_KEY_USAGE), &critical[..], &value].concat(),
        )
    }

    /// A certificate with these extensions, or of version 1.
    fn certificate(extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
        let mut fields = Vec::new();
        if extensions.is_some() {
            fields.extend(der(VERSION, &[2, 1, 2]));
        }
        fields.extend(der(0x02, &[1]));
        for _ in 0..4 {
            fields.extend(der(SEQUENCE, &[]));
        }
        fields.extend(der(SEQUENCE, b"key"));
        if let Some(extensions) = extensions {
            fields.extend(der(EXTENSIONS, &der(SEQUENCE, &extensions.concat())));
        }
        der(SEQUENCE, &[der(SEQUENCE, &fields), der(SEQUENCE, &[])].concat())
    }

    #[test]
    fn the_key_is_found_in_certificates_of_all_versions() {
        for certificate in [certificate(None), certificate(Some(&[usage(&[SERVER_AUTH])]))] {
            let fields = CertificateFields::parse(&certificate).unwrap();
            assert_eq!(fields.public_key_info, der(SEQUENCE, b"key"));
            assert!(fields.allows_servers());
        }
    }

    #[test]
    fn purposes_that_leave_servers_out_count() {
        const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
        for (extensions, allowed) in [
            (vec![], true),
            (vec![usage(&[CLIENT_AUTH])], false),
            (vec![usage(&[])], false),
            (vec![usage(&[CLIENT_AUTH, SERVER_AUTH])], true),
        ] {
            let certificate = certificate(Some(&extensions));
            let fields = CertificateFields::parse(&certificate).unwrap();
            assert_eq!(fields.allows_servers(), allowed);
        }
        let twice = certificate(Some(&[usage(&[SERVER_AUTH]), usage(&[CLIENT_AUTH])]));
        assert_eq!(CertificateFields::parse(&twice), None);
    }

    #[test]
    fn what_is_cut_off_is_no_certificate() {
        let whole = certificate(Some(&[usage(&[SERVER_AUTH])]));
        for length in 0..whole.len() {
            assert_eq!(CertificateFields::parse(&whole[..length]), None, "{length}");
        }
    }
}
