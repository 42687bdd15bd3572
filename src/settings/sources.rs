//! Where provisioning's settings come from, and which of their sources counts.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::SettingsError;
use super::section::Section;
use super::{auth, keys, variables};

/// All that provisioning's settings may come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What a caller or an option of the command line says.
    pub given: Map<String, Value>,
    /// The environment variables.
    pub environment: Environment,
    /// What Synapse's configuration says of the homeserver, under the keys of provisioning.
    pub homeserver: Map<String, Value>,
    /// The module's configuration, where there is one.
    pub module: Option<Map<String, Value>>,
}

/// Which source counts where several say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// What is given, then the environment, then the configuration: whoever provisions brings a
    /// token that may write, while the module's may only read.
    Operator,
    /// About Vault only what the module itself would use: its configuration, and for what is not in
    /// it those variables that the module knows. For whoever looks for what is wrong with the
    /// module.
    Module,
}

/// A matter that several keys and variables are about; one source decides all of it.
struct Matter {
    /// The mapping that has the keys, where it is not the outermost.
    within: Option<&'static str>,
    keys: &'static [&'static str],
    /// Variables of ours, and the key that each stands for.
    ours: &'static [(&'static str, &'static str)],
    /// Variables of Vault's own command line, which are read where a key is absent.
    vendors: &'static [&'static [&'static str]],
}

const HOMESERVER: &[Matter] = &[
    Matter::of(&["homeserver"], &[("SYNAPSE_VAULT_HOMESERVER", "homeserver")]),
    Matter::of(&["ca_cert"], &[("SYNAPSE_VAULT_CA_CERT", "ca_cert")]),
    SERVER_NAME,
    Matter::of(
        &["registration_shared_secret", "registration_shared_secret_file"],
        &[
            ("SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET", "registration_shared_secret"),
            ("SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE", "registration_shared_secret_file"),
        ],
    ),
    Matter::of(
        &["admin_access_token", "admin_access_token_file"],
        &[
            ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN", "admin_access_token"),
            ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN_FILE", "admin_access_token_file"),
        ],
    ),
    Matter::of(&["mas_admin_api"], &[("SYNAPSE_VAULT_MAS_ADMIN_API", "mas_admin_api")]),
    Matter::of(&["mas_client_id"], &[("SYNAPSE_VAULT_MAS_CLIENT_ID", "mas_client_id")]),
    Matter::of(
        &["mas_client_secret", "mas_client_secret_file"],
        &[
            ("SYNAPSE_VAULT_MAS_CLIENT_SECRET", "mas_client_secret"),
            ("SYNAPSE_VAULT_MAS_CLIENT_SECRET_FILE", "mas_client_secret_file"),
        ],
    ),
    Matter::of(
        &["mas_token_endpoint"],
        &[("SYNAPSE_VAULT_MAS_TOKEN_ENDPOINT", "mas_token_endpoint")],
    ),
    Matter::of(&["mas_ca_cert"], &[("SYNAPSE_VAULT_MAS_CA_CERT", "mas_ca_cert")]),
    Matter::of(&["mas_shared_secret", "mas_shared_secret_file"], &[]),
    Matter::of(&["timeout"], &[("SYNAPSE_VAULT_TIMEOUT", "timeout")]),
];

/// The keys of the module's `mas` that say where MAS is and who we are to it, and what they are
/// called among provisioning's settings and in errors.
const OF_MAS: &[(&str, &str, &str)] = &[
    ("admin_api", "mas_admin_api", "mas.admin_api"),
    ("client_id", "mas_client_id", "mas.client_id"),
    ("client_secret", "mas_client_secret", "mas.client_secret"),
    ("client_secret_file", "mas_client_secret_file", "mas.client_secret_file"),
    ("token_endpoint", "mas_token_endpoint", "mas.token_endpoint"),
    ("ca_cert", "mas_ca_cert", "mas.ca_cert"),
];

const SERVER_NAME: Matter =
    Matter::of(&["server_name"], &[("SYNAPSE_VAULT_SERVER_NAME", "server_name")]);

const TOKEN: Matter = Matter::of(
    &["vault_token", "vault_token_file", "vault_auth"],
    &[("SYNAPSE_VAULT_TOKEN_FILE", "vault_token_file"), (VAULT_AUTH, "vault_auth")],
)
.or(&[variables::TOKEN]);

const VAULT: &[Matter] = &[
    Matter::of(&[ENGINE], &[("SYNAPSE_VAULT_ENGINE", ENGINE)]),
    Matter::of(&["vault_url"], &[]).or(&[variables::ADDRESS]),
    TOKEN,
    Matter::of(&["vault_namespace"], &[]).or(&[variables::NAMESPACE]),
    Matter::of(
        &["vault_kv_mount_point"],
        &[("SYNAPSE_VAULT_KV_MOUNT_POINT", "vault_kv_mount_point")],
    ),
    Matter::of(&["vault_kv_version"], &[("SYNAPSE_VAULT_KV_VERSION", "vault_kv_version")]),
    Matter::of(&["vault_path_root"], &[("SYNAPSE_VAULT_PATH_ROOT", "vault_path_root")]),
    Matter::of(&["ca_cert", "ca_path"], &[])
        .within("vault_tls")
        .or(&[variables::CA_CERT, variables::CA_PATH]),
    Matter::of(&["client_cert", "client_key"], &[])
        .within("vault_tls")
        .or(&[variables::CLIENT_CERT, variables::CLIENT_KEY]),
    Matter::of(&["server_name"], &[]).within("vault_tls").or(&[variables::TLS_SERVER_NAME]),
    Matter::of(&["skip_verify"], &[]).within("vault_tls").or(&[variables::SKIP_VERIFY]),
];

/// The mount of the secrets engine.
const ENGINE: &str = "engine";

/// What the engine's mount says of where the secrets are: it serves them below `login/` as a KV
/// engine of version 1 does, and an answer may take a login.
const OF_ENGINE: &[(&str, &str)] =
    &[("vault_kv_version", "1"), ("vault_path_root", "login"), ("request_timeout", "15s")];

/// The one variable whose value is not a string but a mapping, in JSON.
const VAULT_AUTH: &str = "SYNAPSE_VAULT_AUTH";

impl Matter {
    const fn of(
        keys: &'static [&'static str],
        ours: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { within: None, keys, ours, vendors: &[] }
    }

    const fn or(self, vendors: &'static [&'static [&'static str]]) -> Self {
        Self { vendors, ..self }
    }

    const fn within(self, mapping: &'static str) -> Self {
        Self { within: Some(mapping), ..self }
    }

    fn is_decided_by(&self, values: &Map<String, Value>) -> bool {
        self.key_in(values).is_some()
    }

    /// The first of the keys that says something.
    fn key_in(&self, values: &Map<String, Value>) -> Option<&'static str> {
        let values = self.mapping_of(values)?;
        let says = |key: &&str| values.get(*key).is_some_and(|value| !value.is_null());
        self.keys.iter().copied().find(says)
    }

    /// The first of the variables that says something.
    fn variable_in(&self, environment: &Environment) -> Option<&'static str> {
        let ours = self.ours.iter().map(|(name, _)| *name);
        ours.into_iter()
            .find(|name| variable(environment, name).is_some())
            .or_else(|| self.vendors_variable(environment))
    }

    fn vendors_variable(&self, environment: &Environment) -> Option<&'static str> {
        let mut names = self.vendors.iter().copied().flatten().copied();
        names.find(|name| variable(environment, name).is_some())
    }

    /// The mapping that has the keys; `None` if there is something else in its place.
    fn mapping_of<'a>(&self, values: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
        match self.within {
            None => Some(values),
            Some(mapping) => values.get(mapping)?.as_object(),
        }
    }

    /// Moves what one source says of the matter to where the settings are read from.
    fn take(&self, from: &mut Map<String, Value>, to: &mut Map<String, Value>) {
        let (from, to) = match self.within {
            None => (from, to),
            Some(mapping) => {
                let Some(Value::Object(from)) = from.get_mut(mapping) else { return };
                match to.entry(mapping).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(to) => (from, to),
                    _ => return,
                }
            }
        };
        for key in self.keys {
            if let Some(value) = from.remove(*key) {
                to.insert((*key).to_owned(), value);
            }
        }
    }

    /// Removes what one source says of the matter.
    fn drop_from(&self, values: &mut Map<String, Value>) {
        self.take(values, &mut Map::new());
    }
}

/// The settings of all sources together, and what errors call their keys.
pub struct Merged {
    /// The keys of provisioning, as if one mapping had said them all.
    pub values: Map<String, Value>,
    /// From which variable the value of a key comes, or from which key of the module's, where it is
    /// not given under its own name.
    variable_of: HashMap<&'static str, &'static str>,
    /// Where the token for Vault comes from, if anything says one.
    pub token_origin: Option<TokenOrigin>,
}

/// Where the token for Vault comes from, or the login that gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin {
    /// A caller, or an option, under this key.
    Given(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// The module's configuration, under this key.
    Module(&'static str),
}

impl Merged {
    /// Takes each matter from the source that counts.
    ///
    /// # Errors
    /// The module's configuration has a key that the module does not know.
    pub fn of(sources: &Sources, precedence: Precedence) -> Result<Self, SettingsError> {
        let module = sources.module.as_ref().map(|module| of_vault(module, &sources.environment));
        let module = module.transpose()?;
        let mut merged =
            Self { values: sources.given.clone(), variable_of: HashMap::new(), token_origin: None };
        let mut homeserver = sources.homeserver.clone();
        let of_mas = sources.module.as_ref().map(of_mas).unwrap_or_default();
        let from_module = of_mas.clone();
        if precedence == Precedence::Module && module.is_some() {
            merged.values.retain(|key, _| key != ENGINE && !keys::VAULT.contains(&key.as_str()));
            if SERVER_NAME.is_decided_by(&homeserver) {
                SERVER_NAME.take(&mut homeserver, &mut merged.values);
            }
            if !of_mas.is_empty() {
                merged.values.retain(|key, _| OF_MAS.iter().all(|(_, name, _)| name != key));
                merged.values.extend(of_mas);
            }
            merged.fill_in(HOMESERVER, homeserver, &sources.environment);
            merged.values.extend(module.unwrap_or_default());
            merged.token_origin =
                TOKEN.key_in(&merged.values).map(TokenOrigin::Module).or_else(|| {
                    TOKEN.vendors_variable(&sources.environment).map(TokenOrigin::Variable)
                });
        } else {
            merged.token_origin = TOKEN
                .key_in(&merged.values)
                .map(TokenOrigin::Given)
                .or_else(|| TOKEN.variable_in(&sources.environment).map(TokenOrigin::Variable))
                .or_else(|| TOKEN.key_in(module.as_ref()?).map(TokenOrigin::Module));
            homeserver.extend(of_mas);
            merged.fill_in(HOMESERVER, homeserver, &sources.environment);
            merged.fill_in(VAULT, module.unwrap_or_default(), &sources.environment);
            merged.take_engine();
        }
        merged.name_module_keys(&from_module);
        Ok(merged)
    }

    /// Lets the mount of the secrets engine say where the secrets are, if there is one.
    fn take_engine(&mut self) {
        let says = |value: &&Value| value.as_str().is_none_or(|text| !text.is_empty());
        let Some(mount) = self.values.get(ENGINE).filter(says).cloned() else { return };
        self.values.insert("vault_kv_mount_point".to_owned(), mount);
        let shown = self.variable_of.get(ENGINE).copied().unwrap_or(ENGINE);
        self.variable_of.insert("vault_kv_mount_point", shown);
        for (key, value) in OF_ENGINE {
            self.values.insert((*key).to_owned(), (*value).into());
        }
    }

    /// Names the variable in place of the key that it stands for.
    pub fn name_source(&self, error: SettingsError) -> SettingsError {
        match self.variable_of.get(error.key.as_str()) {
            Some(variable) => SettingsError::new(*variable, error.message),
            None => error,
        }
    }

    /// Names keys as the module's configuration has them, where the values are from there.
    fn name_module_keys(&mut self, from_module: &Map<String, Value>) {
        for (_, key, name) in OF_MAS {
            let value = from_module.get(*key);
            if value.is_some() && self.values.get(*key) == value {
                self.variable_of.entry(key).or_insert(name);
            }
        }
    }

    /// Takes from the environment what is not given, and from the configuration what is in neither.
    fn fill_in(
        &mut self,
        matters: &[Matter],
        mut configuration: Map<String, Value>,
        environment: &Environment,
    ) {
        for matter in matters {
            let set: Vec<_> = matter
                .ours
                .iter()
                .filter_map(|(name, key)| Some((*name, *key, variable(environment, name)?)))
                .collect();
            if matter.is_decided_by(&self.values) {
                matter.drop_from(&mut configuration);
            } else if !set.is_empty() {
                matter.drop_from(&mut configuration);
                for (name, key, value) in set {
                    self.values.insert(key.to_owned(), value_of(name, value));
                    self.variable_of.insert(key, name);
                }
            } else if matter.vendors_variable(environment).is_some() {
                matter.drop_from(&mut configuration);
            } else {
                matter.take(&mut configuration, &mut self.values);
            }
        }
        // What no variable is about, and what is to be refused.
        for (key, value) in configuration {
            self.values.entry(key).or_insert(value);
        }
    }
}

/// What the module's configuration says of Vault.
fn of_vault(
    module: &Map<String, Value>,
    environment: &Environment,
) -> Result<Map<String, Value>, SettingsError> {
    let keys = [keys::VAULT, keys::LOGIN].concat();
    let mut section = Section::new(module.clone(), environment, &keys)?;
    section.section("vault_tls", keys::TLS)?;
    section.section("mas", keys::MAS)?;
    section.section("vault_auth", &auth::keys(module.get("vault_auth")))?;
    let of_vault = module.iter().filter(|(key, _)| keys::VAULT.contains(&key.as_str()));
    Ok(of_vault.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// What the module's configuration says of Matrix Authentication Service.
fn of_mas(module: &Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(mas)) = module.get("mas") else { return Map::new() };
    let named = OF_MAS.iter().filter_map(|(key, name, _)| Some((*name, mas.get(*key)?.clone())));
    named.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn value_of(name: &str, value: &str) -> Value {
    if name == VAULT_AUTH {
        serde_json::from_str(value).unwrap_or(Value::Null)
    } else {
        value.into()
    }
}
