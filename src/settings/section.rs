//! One mapping of the configuration, read key by key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::SettingsError;
use super::keys;
use super::value::{kind, parse_duration, parse_lifetime};
use crate::credential::{Credential, Pipes, SecretFile};
use crate::file::is_pipe;

const EMPTY: &str = "is empty: fill it in, or leave out the key";

/// How alike a key must be to one of another mapping, for that to have been meant.
const SURE: f64 = 0.97;

/// A key of another mapping that is shorter than this has to be written exactly.
const SHORT: usize = 6;

/// A mapping that holds none but the keys that it was declared with.
pub struct Section<'a> {
    values: Map<String, Value>,
    environment: &'a Environment,
    prefix: String,
    pipes: Pipes,
}

/// A value and where it was written: a key of the configuration or an environment variable.
#[derive(Debug)]
pub struct Sourced<T> {
    pub key: String,
    pub value: T,
}

impl<'a> Section<'a> {
    /// The outermost mapping.
    ///
    /// # Errors
    /// It has a key that is not among `keys`.
    pub fn new(
        values: Map<String, Value>,
        environment: &'a Environment,
        keys: &[&'static str],
    ) -> Result<Self, SettingsError> {
        let section = Self { values, environment, prefix: String::new(), pipes: Pipes::Refused };
        section.refuse_all_but(keys)?;
        Ok(section)
    }

    /// The environment variables.
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// The same for a process that ends soon, whose files may be pipes.
    pub fn with_pipes(self) -> Self {
        Self { pipes: Pipes::ReadOnce, ..self }
    }

    /// The key as an administrator finds it, with those of the mappings around it.
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A string; absent, `null` and empty are all `None`.
    pub fn string(&mut self, key: &str) -> Result<Option<String>, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, &format!("must be a string, not {}", kind(&other)))),
        }
    }

    /// A string that is absent or says something: an empty one is a slip, as of a template.
    pub fn string_unless_absent(&mut self, key: &str) -> Result<Option<String>, SettingsError> {
        let is_absent = !self.values.contains_key(key);
        match self.string(key)? {
            None if !is_absent => Err(self.wrong(key, EMPTY)),
            text => Ok(text),
        }
    }

    /// A mapping that is absent or says something.
    pub fn section_unless_absent(
        &mut self,
        key: &str,
        keys: &[&'static str],
    ) -> Result<Option<Self>, SettingsError> {
        let is_absent = !self.values.contains_key(key);
        match self.section(key, keys)? {
            None if !is_absent => Err(self.wrong(key, EMPTY)),
            section => Ok(section),
        }
    }

    /// Whether any of these keys says something.
    pub fn says_any(&self, keys: &[&str]) -> bool {
        let says = |key: &&str| match self.values.get(*key) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        };
        keys.iter().any(says)
    }

    /// A string that must be there.
    pub fn required(&mut self, key: &str, what: &str) -> Result<String, SettingsError> {
        self.string(key)?.ok_or_else(|| self.wrong(key, &format!("required: {what}")))
    }

    /// A string, or the first of the environment variables that is set and not empty.
    pub fn string_or_variable(
        &mut self,
        key: &str,
        variables: &[&str],
    ) -> Result<Option<Sourced<String>>, SettingsError> {
        Ok(self.sourced(key)?.or_else(|| self.variable(variables)))
    }

    /// A string and the key it was written under.
    pub fn sourced(&mut self, key: &str) -> Result<Option<Sourced<String>>, SettingsError> {
        Ok(self.string(key)?.map(|value| Sourced { key: self.name(key), value }))
    }

    /// A string or a list of strings, or one string of the environment.
    pub fn strings_or_variable(
        &mut self,
        key: &str,
        variables: &[&str],
    ) -> Result<Vec<Sourced<String>>, SettingsError> {
        if !matches!(self.values.get(key), Some(Value::Array(_))) {
            return Ok(self.string_or_variable(key, variables)?.into_iter().collect());
        }
        let items = match self.take(key) {
            Some(Value::Array(items)) if !items.is_empty() => items,
            _ => return Err(self.wrong(key, "must not be an empty list")),
        };
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let key = format!("{}[{index}]", self.name(key));
                match item {
                    Value::String(value) => Ok(Sourced { key, value }),
                    other => Err(SettingsError::new(
                        key,
                        format!("must be a string, not {}", kind(&other)),
                    )),
                }
            })
            .collect()
    }

    /// The first of the environment variables that is set and not empty.
    pub fn variable(&self, variables: &[&str]) -> Option<Sourced<String>> {
        variables.iter().find_map(|variable| {
            let value = self.environment.get(*variable).filter(|value| !value.is_empty())?;
            Some(Sourced { key: (*variable).to_owned(), value: value.clone() })
        })
    }

    /// A secret under `key`, or the path of a file with it under `key` with `_file` behind it.
    pub fn credential(&mut self, key: &str) -> Result<Option<Credential>, SettingsError> {
        let file_key = format!("{key}_file");
        let inline = self.string(key)?.map(SecretString::from);
        let file = self.string(&file_key)?;
        match (inline, file) {
            (Some(_), Some(_)) => {
                Err(self.wrong(&file_key, &format!("only one of this and {key} may be given")))
            }
            (Some(secret), None) => Ok(Some(Credential::Inline(secret))),
            (None, Some(path)) => {
                self.secret_file(&file_key, &path).map(|file| Some(Credential::File(file)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Opens the file that `key` names.
    pub fn secret_file(&self, key: &str, path: &str) -> Result<SecretFile, SettingsError> {
        SecretFile::open(PathBuf::from(path), self.pipes).map_err(|error| {
            let error = self.wrong(key, &error);
            // What is a pipe here is one in every process.
            if is_pipe(Path::new(path)).unwrap_or(false) { error } else { error.of_process() }
        })
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => {
                Err(self.wrong(key, &format!("must be true or false, not {}", kind(&other))))
            }
        }
    }

    /// A whole number above zero and up to `most`.
    pub fn count(&mut self, key: &str, default: u32, most: u32) -> Result<u32, SettingsError> {
        let allowed = format!("must be a whole number from 1 to {most}");
        match self.take(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Number(number)) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| self.wrong(key, &allowed)),
            Some(other) => Err(self.wrong(key, &format!("{allowed}, not {}", kind(&other)))),
        }
    }

    /// A duration above zero.
    pub fn timeout(&mut self, key: &str, default: Duration) -> Result<Duration, SettingsError> {
        let duration = self.duration(key, default)?;
        if duration.is_zero() {
            return Err(self.wrong(key, "must be above zero"));
        }
        Ok(duration)
    }

    /// A duration, zero among them.
    pub fn duration(&mut self, key: &str, default: Duration) -> Result<Duration, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => parse_duration(&value).map_err(|message| self.wrong(key, &message)),
        }
    }

    /// How long something lives: at least a second, and as long as MAS can count; `None` for ever.
    pub fn lifetime(&mut self, key: &str) -> Result<Option<Duration>, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                parse_lifetime(&value).map(Some).map_err(|message| self.wrong(key, &message))
            }
        }
    }

    /// A mapping inside this one.
    ///
    /// # Errors
    /// It is no mapping, or has a key that is not among `keys`.
    pub fn section(
        &mut self,
        key: &str,
        keys: &[&'static str],
    ) -> Result<Option<Self>, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(values)) => {
                let section = self.within(key, values);
                section.refuse_all_but(keys)?;
                Ok(Some(section))
            }
            Some(other) => {
                Err(self.wrong(key, &format!("must be a mapping of keys, not {}", kind(&other))))
            }
        }
    }

    /// An empty mapping in place of one that is absent.
    pub fn section_or_empty(
        &mut self,
        key: &str,
        keys: &[&'static str],
    ) -> Result<Self, SettingsError> {
        Ok(self.section(key, keys)?.unwrap_or_else(|| self.within(key, Map::new())))
    }

    /// Refuses a key that is not among `keys`, with the one that it was probably meant to be.
    ///
    /// A misspelt key is what made another one missing: it is named before any value is read.
    fn refuse_all_but(&self, keys: &[&'static str]) -> Result<(), SettingsError> {
        let unknown = self.values.keys().find(|key| !keys.contains(&key.as_str()));
        let Some(unknown) = unknown else { return Ok(()) };
        let message = match self.meant(unknown, keys) {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => format!("unknown key; known keys: {}", keys.join(", ")),
        };
        let shown: String = match unknown.as_str() {
            "" => "\"\"".to_owned(),
            unknown => unknown.escape_debug().take(100).collect(),
        };
        Err(self.wrong(&shown, &message))
    }

    /// What a key that is unknown here was probably meant to be, here or in another mapping.
    fn meant(&self, unknown: &str, keys: &[&'static str]) -> Option<String> {
        let here = nearest(unknown, keys);
        let elsewhere = keys::PLACES
            .iter()
            .filter(|(place, _)| *place != self.prefix)
            .flat_map(|(place, keys)| keys.iter().map(move |key| (*place, *key)))
            .map(|(place, key)| (likeness_elsewhere(unknown, place, key), place, key))
            .filter(|(likeness, _, _)| *likeness >= SURE)
            .max_by(|(a, _, _), (b, _, _)| a.total_cmp(b));
        match (here, elsewhere) {
            (Some((likeness, key)), _) if likeness >= SURE => Some(key.to_owned()),
            (_, Some((_, "", key))) => Some(format!("{key}, outside this mapping")),
            (_, Some((_, place, key))) => Some(format!("{place}{key}")),
            (here, None) => here.map(|(_, key)| key.to_owned()),
        }
    }

    /// An error of a key of this mapping.
    pub fn wrong(&self, key: &str, message: &str) -> SettingsError {
        SettingsError::new(self.name(key), message)
    }

    /// A value that stays to be read.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// A value of any type.
    pub fn value(&mut self, key: &str) -> Option<Value> {
        self.take(key)
    }

    fn within(&self, key: &str, values: Map<String, Value>) -> Self {
        let prefix = format!("{}.", self.name(key));
        Self { values, environment: self.environment, prefix, pipes: self.pipes }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key)
    }
}

/// The known key that a misspelt one was probably meant to be; of several the shortest.
fn nearest(unknown: &str, known: &[&'static str]) -> Option<(f64, &'static str)> {
    // The vendor's variables say ADDR for what is called URL here.
    let unknown = unknown.to_lowercase();
    let unknown = ["address", "adress", "addr"]
        .iter()
        .fold(unknown, |unknown, word| unknown.replace(word, "url"));
    known
        .iter()
        .map(|key| (likeness(&unknown, key), *key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, key_a), (b, key_b)| a.total_cmp(b).then(key_b.len().cmp(&key_a.len())))
}

/// The same for a key of another mapping, which may be written with the name of that mapping.
fn likeness_elsewhere(unknown: &str, place: &str, key: &str) -> f64 {
    let unknown = unknown.to_lowercase();
    let with_place = format!("{}_{key}", place.trim_end_matches('.'));
    if unknown == key || unknown == with_place {
        1.0
    } else if key.len() >= SHORT && strsim::damerau_levenshtein(&unknown, key) < 2 {
        0.98
    } else {
        0.0
    }
}

/// Near certainty for a slip of one letter, and when one name is the other's beginning or a whole
/// word of it, as `url` is of `vault_url`.
fn likeness(unknown: &str, key: &str) -> f64 {
    let begins = key.strip_prefix(unknown).is_some_and(|rest| rest.starts_with('_'));
    if strsim::damerau_levenshtein(unknown, key) < 2 {
        0.98
    } else if begins || key.split('_').any(|word| word == unknown) {
        0.97
    } else {
        strsim::jaro_winkler(unknown, key)
    }
}
