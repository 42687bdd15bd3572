//! Secrets that we make up.

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The operating system gives no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct RandomError(getrandom::Error);

/// Random bytes in a secret; 256 bits are what the key of HMAC-SHA256 is worth.
const LENGTH: usize = 32;

/// Letters in a device id, as many as Synapse's own have.
const DEVICE_ID_LENGTH: usize = 10;

/// Random bytes in a mark: nobody meets the same one twice.
const MARK_LENGTH: usize = 16;

/// A new secret: 32 bytes of the operating system's, in URL-safe Base64 without padding.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn new_secret() -> Result<SecretString, RandomError> {
    use base64::Engine;

    let bytes = random::<LENGTH>()?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes[..]).into())
}

/// A new device id: ten capital letters.
///
/// We name devices, not the homeserver: a login that has to be repeated leaves one device, not two.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn new_device_id() -> Result<String, RandomError> {
    let bytes = random::<DEVICE_ID_LENGTH>()?;
    Ok(bytes.iter().map(|byte| char::from(b'A' + byte % 26)).collect())
}

/// A new mark, by which something of ours is known again: 16 bytes in URL-safe Base64.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn new_mark() -> Result<String, RandomError> {
    use base64::Engine;

    let bytes = random::<MARK_LENGTH>()?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes[..]))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..]).map_err(RandomError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), two.expose_secret());
        let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(one.expose_secret().bytes().all(is_url_safe));
    }

    #[test]
    fn device_ids_are_capital_letters() {
        let id = new_device_id().unwrap();
        assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_uppercase()), "{id}");
    }
}
