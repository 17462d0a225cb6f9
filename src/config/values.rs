//! Values with a grammar of their own: a model's location, a log filter, a model's name.
//!
//! Used by the sections of the configuration; a value of these types is well formed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ModelName;
use crate::telemetry::is_log_filter;

pub(super) const MODEL_LOCATION_FORM: &str = "a list of `[NAME=]PATH_OR_URI` with at least one entry; \
     NAME is a letter or digit, then at most 127 letters, digits, dots, underscores or hyphens";
pub(super) const LOG_FILTER_FORM: &str = "a level out of off, error, warn, info, debug, trace, or \
     directives such as `info,hyper=debug`";
pub(super) const MODEL_NAME_FORM: &str =
    "a letter or digit, then at most 127 letters, digits, dots, underscores or hyphens";

pub(super) const CORS_ORIGINS_FORM: &str = "a list of origins as browsers send them, such as \
     `https://app.example.com` or `http://localhost:3000`, or `*` alone for every one";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A text that does not have the form of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct ValueError(&'static str);

/// `[NAME=]PATH_OR_URI`: where a model or a repository of models is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ModelLocation {
    /// The name to serve the model under, where one was given.
    pub name: Option<ModelName>,
    /// A path or a URI.
    pub location: String,
}

impl TryFrom<String> for ModelLocation {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        // A `/` before the first `=` can only be part of a path or of a URI's query.
        let (name, location) = match text.split_once('=') {
            Some((name, rest)) if !name.contains('/') => {
                let name = name.parse().map_err(|_| ValueError(MODEL_LOCATION_FORM))?;
                (Some(name), rest.to_owned())
            }
            _ => (None, text),
        };
        if location.is_empty() {
            return Err(ValueError(MODEL_LOCATION_FORM));
        }
        Ok(Self { name, location })
    }
}

impl From<ModelLocation> for String {
    fn from(model: ModelLocation) -> Self {
        match model.name {
            Some(name) => format!("{name}={}", model.location),
            None => model.location,
        }
    }
}

/// A web page's origin as browsers send it, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every origin.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }
}

impl TryFrom<String> for CorsOrigin {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        if text == "*" || is_origin(&text) { Ok(Self(text)) } else { Err(ValueError(CORS_ORIGINS_FORM)) }
    }
}

impl From<CorsOrigin> for String {
    fn from(origin: CorsOrigin) -> Self {
        origin.0
    }
}

/// Scheme, host in lower case, and a port only where it is not the scheme's own: origins are
/// compared as text, so that any other spelling would never match.
fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let end = rest.rfind(':').filter(|end| !rest[*end..].contains(']')).unwrap_or(rest.len());
    let (host, port) = (&rest[..end], rest[end..].strip_prefix(':'));
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            address.parse::<std::net::Ipv6Addr>().is_ok_and(|known| known.to_string() == address)
        }
        None => !host.is_empty() && host.bytes().all(|byte| is_plain(byte) || byte == b'_'),
    };
    let is_port = port.is_none_or(|port| {
        let own = matches!((scheme, port), ("http", "80") | ("https", "443"));
        !own && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    });
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    is_scheme && scheme.bytes().all(|byte| is_plain(byte) || byte == b'+') && is_host && is_port
}

/// A level, or directives in the form of `RUST_LOG`, that the log's filter accepts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct LogFilter(String);

impl LogFilter {
    /// The directives as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes bare targets of `RUST_LOG` out (`hyper` means `hyper=trace` there), so that a
    /// misspelt level is found in `log.level` and other programs' variables still work.
    pub(super) fn from_environment(text: &str) -> String {
        if text.contains('[') {
            return text.to_owned();
        }
        let directives = text.split(',').filter(|one| !one.trim().is_empty()).map(|one| {
            let one = one.trim();
            if one.contains('=') || is_level(one) { one.to_owned() } else { format!("{one}=trace") }
        });
        directives.collect::<Vec<_>>().join(",")
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl TryFrom<String> for LogFilter {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let bare_words_are_levels =
            text.contains('[') || text.split(',').all(|one| one.contains('=') || is_level(one.trim()));
        if bare_words_are_levels && is_log_filter(&text) {
            Ok(Self(text))
        } else {
            Err(ValueError(LOG_FILTER_FORM))
        }
    }
}

impl From<LogFilter> for String {
    fn from(filter: LogFilter) -> Self {
        filter.0
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
        || matches!(word, "0" | "1" | "2" | "3" | "4" | "5")
}

/// Reads and writes `Option<ModelName>`, which is plain text to serde.
pub(super) mod model_name {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::model::ModelName;

    #[expect(clippy::ref_option, reason = "serde's `with` calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        name: &Option<ModelName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.serialize_some(name.as_str()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ModelName>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}
