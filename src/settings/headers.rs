//! `vault_headers`: more headers for every request to Vault, as access proxies want them.

use secrecy::SecretString;
use serde_json::Value;

use super::error::SettingsError;
use super::section::Section;
use super::value::kind;
use crate::credential::Credential;
use crate::vault::ExtraHeader;

const KEY: &str = "vault_headers";

/// Reads the headers. For a proxy that adds Vault's token, none of them may be such a token.
pub fn read(
    section: &mut Section<'_>,
    is_token_added: bool,
) -> Result<Vec<ExtraHeader>, SettingsError> {
    let headers = match section.value(KEY) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(headers)) => headers,
        Some(other) => {
            let message = format!("must be a mapping of keys, not {}", kind(&other));
            return Err(section.wrong(KEY, &message));
        }
    };
    headers
        .into_iter()
        .map(|(name, value)| {
            let shown: String = name.escape_debug().take(100).collect();
            let key = format!("{KEY}.{shown}");
            let value = match value {
                Value::String(value) => Credential::Inline(SecretString::from(value)),
                Value::Object(mut file) if file.len() == 1 => match file.remove("file") {
                    Some(Value::String(path)) => {
                        Credential::File(section.secret_file(&key, &path)?)
                    }
                    _ => return Err(section.wrong(&key, FORM)),
                },
                _ => return Err(section.wrong(&key, FORM)),
            };
            ExtraHeader::new(&name, value, is_token_added)
                .map_err(|error| section.wrong(&key, error))
        })
        .collect()
}

const FORM: &str = "must be a string, or a mapping with the key file that names a file";
