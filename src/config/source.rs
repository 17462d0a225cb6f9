//! Where settings come from, and what is wrong with them.
//!
//! The sources are values: the loader never looks at the process' own environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Everything that the configuration is made of, as values.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The TOML file: its path, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// The process' environment; what does not concern the configuration is ignored.
    pub env: BTreeMap<String, String>,
    /// The command's flags.
    pub flags: Flags,
}

/// Flags that set something; they win over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--models [NAME=]PATH_OR_URI`, any number of times; one replaces the whole list.
    pub models: Vec<String>,
    /// `--http ADDR`.
    pub http: Option<String>,
    /// `--grpc ADDR`.
    pub grpc: Option<String>,
    /// `--admin ADDR`.
    pub admin: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The TOML file.
    File(PathBuf),
    /// A variable.
    Environment(String),
    /// A file that a variable or a key of the TOML file names.
    SecretFile {
        /// The variable (`ML_INFERENCE_..._FILE`) or the key (`..._file`).
        name: String,
        /// The file that holds the value.
        path: PathBuf,
    },
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::SecretFile { name, path } => write!(f, "file {} named by {name}", path.display()),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One mistake in the configuration, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// The key (`http.addr`), or the variable where there is no such key.
    pub key: String,
    /// The value as it was written; redacted where it may be a secret.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: String,
    /// What was expected instead.
    pub expected: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " ({}): expected {}", self.origin, self.expected)
    }
}
