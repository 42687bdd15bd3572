//! `vault_tls`: whom to trust, and who we are.

use std::fs;
use std::path::Path;

use reqwest::{Certificate, Identity};
use zeroize::Zeroizing;

use super::error::SettingsError;
use super::section::{Section, Sourced};
use super::variables;
use crate::file::shown_path;
use crate::http::{Tls, install_provider};

/// Reads `vault_tls`, or where it says nothing of a matter, the environment variables of that
/// matter: whom to trust, who we are, whether to check at all.
pub fn read(mut section: Section<'_>, is_https: bool) -> Result<Tls, SettingsError> {
    let ca_cert = section.sourced("ca_cert")?;
    let ca_path = section.sourced("ca_path")?;
    let client_cert = section.sourced("client_cert")?;
    let client_key = section.sourced("client_key")?;
    let skip_verify = skip_verify(&mut section)?;

    let (ca_cert, ca_path) = match (ca_cert, ca_path) {
        (None, None) => {
            (section.variable(variables::CA_CERT), section.variable(variables::CA_PATH))
        }
        (Some(_), Some(path)) => {
            let message = "only one of this and ca_cert may be given";
            return Err(SettingsError::new(path.key, message));
        }
        configured => configured,
    };
    let (client_cert, client_key) = match (client_cert, client_key) {
        (None, None) => {
            (section.variable(variables::CLIENT_CERT), section.variable(variables::CLIENT_KEY))
        }
        configured => configured,
    };
    let trusted = ca_cert.as_ref().or(ca_path.as_ref()).map(|source| source.key.clone());
    let authorities = match (&ca_cert, &ca_path) {
        (Some(file), _) => certificates(&file.key, Path::new(&file.value))?,
        (None, Some(directory)) => certificates_in(directory)?,
        (None, None) => Vec::new(),
    };
    let identified = client_cert.as_ref().map(|source| source.key.clone());
    let identity = identity(&section, client_cert, client_key)?;

    // Only using them shows that certificates are sound and that a key is that of its certificate.
    let tls = Tls { authorities, identity, skip_verify };
    if let Some(key) = trusted {
        tls.check_authorities().map_err(|cause| {
            SettingsError::new(key, format!("holds a certificate that is no use: {cause}"))
        })?;
    } else if is_https && !skip_verify {
        tls.check_authorities().map_err(|cause| {
            let message = "the system has no certificate authorities to trust; name them here";
            section.wrong("ca_cert", &format!("{message} ({cause})"))
        })?;
    }
    tls.check_identity().map_err(|cause| {
        let key = identified.unwrap_or_else(|| section.name("client_cert"));
        SettingsError::new(key, format!("and its key cannot be used: {cause}"))
    })?;
    Ok(tls)
}

fn certificates(key: &str, path: &Path) -> Result<Vec<Certificate>, SettingsError> {
    let pem = read_file(key, path)?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        let message = format!("{} holds no certificate in PEM", path.display());
        return Err(SettingsError::new(key, message));
    }
    Ok(found)
}

/// All certificates of the directory's files; what is no certificate there is passed over.
fn certificates_in(directory: &Sourced<String>) -> Result<Vec<Certificate>, SettingsError> {
    let shown = &directory.value;
    let files = fs::read_dir(shown).map_err(|error| {
        let shown = shown_path(Path::new(shown));
        SettingsError::new(&directory.key, format!("cannot read {shown}: {error}"))
    })?;
    let found: Vec<Certificate> = files
        .filter_map(|file| fs::read(file.ok()?.path()).ok())
        .flat_map(|pem| Certificate::from_pem_bundle(&pem).unwrap_or_default())
        .collect();
    if found.is_empty() {
        let message = format!("{shown} holds no file with a certificate in PEM");
        return Err(SettingsError::new(&directory.key, message));
    }
    Ok(found)
}

fn identity(
    section: &Section<'_>,
    client_cert: Option<Sourced<String>>,
    client_key: Option<Sourced<String>>,
) -> Result<Option<Identity>, SettingsError> {
    match (client_cert, client_key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let mut pem = Zeroizing::new(read_file(&key.key, Path::new(&key.value))?);
            pem.push(b'\n');
            pem.extend(read_file(&cert.key, Path::new(&cert.value))?);
            install_provider();
            Identity::from_pem(&pem).map(Some).map_err(|_| {
                let message = format!(
                    "{} and {} are not a certificate and its key in PEM",
                    cert.value, key.value
                );
                SettingsError::new(cert.key, message)
            })
        }
        (Some(_), None) => Err(section.wrong("client_key", "required: client_cert needs its key")),
        (None, Some(_)) => {
            Err(section.wrong("client_cert", "required: client_key needs its certificate"))
        }
    }
}

/// Of the environment, the values that the vendor's command line takes, which is Go's `ParseBool`.
fn skip_verify(section: &mut Section<'_>) -> Result<bool, SettingsError> {
    if let Some(value) = section.boolean("skip_verify")? {
        return Ok(value);
    }
    match section.variable(variables::SKIP_VERIFY) {
        None => Ok(false),
        Some(Sourced { key, value }) => match value.as_str() {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(SettingsError::new(key, "must be true or false")),
        },
    }
}

fn read_file(key: &str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(|error| {
        SettingsError::new(key, format!("cannot read {}: {error}", shown_path(path)))
    })
}
