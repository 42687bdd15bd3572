//! `vault_tls`: whom to trust, and who we are.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::{SettingsError, in_key};
use super::section::{Section, Sourced};
use super::variables;
use crate::http::{Authorities, IdentityFiles, Tls, TlsFileError, TlsPart, check_files};

/// Reads `vault_tls`, or where it says nothing of a matter, the environment variables of that
/// matter: whom to trust, who we are, under which name Vault is known, whether to check at all.
///
/// The files have to be checked still. Without `is_https` nothing is verified.
pub fn read(mut section: Section<'_>, is_https: bool) -> Result<(Tls, Keys), SettingsError> {
    let ca_cert = section.sourced("ca_cert")?;
    let ca_path = section.sourced("ca_path")?;
    let client_cert = section.sourced("client_cert")?;
    let client_key = section.sourced("client_key")?;
    let server_name = section.string_or_variable("server_name", variables::TLS_SERVER_NAME)?;
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
    let (trusted, authorities) = match (ca_cert, ca_path) {
        (Some(Sourced { key, value }), _) => (Some(key), Authorities::File(value.into())),
        (None, Some(Sourced { key, value })) => (Some(key), Authorities::Directory(value.into())),
        (None, None) if is_https && !skip_verify => of_environment(section.environment()),
        // Nothing is verified.
        (None, None) => (None, Authorities::System),
    };
    let mut keys = Keys {
        authorities: trusted.unwrap_or_else(|| section.name("ca_cert")),
        certificate: section.name("client_cert"),
        key: section.name("client_key"),
    };
    let identity = match (client_cert, client_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            (keys.certificate, keys.key) = (certificate.key, key.key);
            Some(IdentityFiles { certificate: certificate.value.into(), key: key.value.into() })
        }
        (Some(_), None) => {
            return Err(section.wrong("client_key", "required: client_cert needs its key"));
        }
        (None, Some(_)) => {
            return Err(section.wrong("client_cert", "required: client_key needs its certificate"));
        }
    };
    let server_name = match server_name {
        Some(Sourced { key, value }) => Some(in_key(key, Tls::parse_server_name(&value))?),
        None => None,
    };
    Ok((Tls { authorities, identity, server_name, skip_verify }, keys))
}

/// Checks the files. Only using them shows that certificates are sound and that a key is that of
/// its certificate.
pub fn check(tls: &Tls, keys: Keys, is_https: bool) -> Result<(), SettingsError> {
    check_files(tls, is_https).map_err(|error| {
        let error = keys.name(error);
        if can_be_opened(tls) { error } else { error.of_process() }
    })
}

/// Whether this process may read every file that is named.
fn can_be_opened(tls: &Tls) -> bool {
    let authorities: Vec<&Path> = match &tls.authorities {
        Authorities::System | Authorities::Pem(_) => Vec::new(),
        Authorities::File(path) | Authorities::Directory(path) => vec![path],
        Authorities::Variables { file, directories } => {
            file.iter().chain(directories).map(PathBuf::as_path).collect()
        }
    };
    let identity = tls.identity.iter().flat_map(|files| [&*files.certificate, &*files.key]);
    authorities.into_iter().chain(identity).all(|path| File::open(path).is_ok())
}

/// Reads whom to trust as a server that is not Vault, from the key that names a file with that.
///
/// `names_others` says whether the server may name others, which may be encrypted where it is not.
pub fn read_trust(
    section: &mut Section<'_>,
    key: &str,
    is_https: bool,
    names_others: bool,
) -> Result<Tls, SettingsError> {
    let (trusted, authorities) = match section.sourced(key)? {
        Some(Sourced { key, value }) => (Some(key), Authorities::File(value.into())),
        None if is_https || names_others => of_environment(section.environment()),
        None => (None, Authorities::System),
    };
    let tls = Tls { authorities, ..Tls::default() };
    check_files(&tls, is_https).map_err(|error| {
        let key = trusted.unwrap_or_else(|| section.name(key));
        let error = SettingsError::new(key, error.message);
        if can_be_opened(&tls) { error } else { error.of_process() }
    })?;
    Ok(tls)
}

/// The authorities of every program, and the variable that names them.
///
/// The variables are OpenSSL's, and Go's programs know them as well:
/// <https://docs.openssl.org/master/man7/openssl-env/>.
fn of_environment(environment: &Environment) -> (Option<String>, Authorities) {
    let value = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let (file, directories) = (value("SSL_CERT_FILE"), value("SSL_CERT_DIR"));
    let source = match (file, directories) {
        (None, None) => return (None, Authorities::System),
        (Some(_), _) => "SSL_CERT_FILE",
        (None, Some(_)) => "SSL_CERT_DIR",
    };
    let authorities = Authorities::Variables {
        file: file.map(PathBuf::from),
        directories: directories.into_iter().flat_map(std::env::split_paths).collect(),
    };
    (Some(source.to_owned()), authorities)
}

/// Where each file was named.
pub struct Keys {
    authorities: String,
    certificate: String,
    key: String,
}

impl Keys {
    fn name(self, TlsFileError { part, message }: TlsFileError) -> SettingsError {
        let key = match part {
            TlsPart::Authorities => self.authorities,
            TlsPart::Certificate => self.certificate,
            TlsPart::Key => self.key,
        };
        SettingsError::new(key, message)
    }
}

/// In the environment it takes the values that Vault's command line takes, those of Go's
/// `ParseBool`.
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
