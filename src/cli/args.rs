//! The command line's grammar.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Serve ONNX models over HTTP: fast, bounded, and observable to the bottom.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:
  ml-inference-api serve --models models
  ml-inference-api check models/fraud-detector
  ml-inference-api predict model.onnx --input instance.json
  ml-inference-api bench models/fraud-detector
  ml-inference-api tune models/fraud-detector"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArguments),
    Check(CheckArguments),
    Predict(PredictArguments),
    Bench(super::bench::BenchArguments),
    Tune(super::tune::TuneArguments),
    Health(HealthArguments),
    Config(ConfigArguments),
    Key(KeyArguments),
}

/// Where the configuration comes from, and flags that win over it.
#[derive(Debug, Args)]
pub(super) struct ConfigSource {
    /// TOML file with the configuration.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A model or a folder of models; may be given several times.
    #[arg(long, value_name = "[NAME=]PATH_OR_URI")]
    pub(super) models: Vec<String>,
    /// Address of the public HTTP listener; port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<String>,
    /// Address of the gRPC listener.
    #[arg(long, value_name = "ADDR")]
    pub(super) grpc: Option<String>,
    /// Address of the admin listener: health and metrics.
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Option<String>,
}

/// Serve models until SIGTERM.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api serve
  ml-inference-api serve --models fraud=models/fraud-detector --http 127.0.0.1:8080
  MODEL_NAME=fraud-detector ml-inference-api serve --config config.toml --ready-file /run/ready.json")]
pub(super) struct ServeArguments {
    #[command(flatten)]
    pub(super) source: ConfigSource,
    /// File that gets the bound addresses once every model is ready; removed at drain.
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Load, warm up and verify models without serving them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api check models
  ml-inference-api check models/fraud-detector model.onnx --format json")]
pub(super) struct CheckArguments {
    /// Models, or folders of models.
    #[arg(required = true, value_name = "[NAME=]PATH_OR_URI")]
    pub(super) paths: Vec<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// Make one prediction in this process.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api predict models/sentence-embedder --input sentence.json
  ml-inference-api predict models/digits --input seven.png
  echo '{\"x\": [1, 2, 3]}' | ml-inference-api predict model.onnx")]
pub(super) struct PredictArguments {
    /// One model.
    #[arg(value_name = "MODEL_PATH")]
    pub(super) model: String,
    /// File with the body as `POST /predict` takes it, or a PNG or JPEG; `-` reads stdin.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(super) input: PathBuf,
}

/// Exit with 0 when the server is ready.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api health
  ml-inference-api health --url http://127.0.0.1:8082/health/live")]
pub(super) struct HealthArguments {
    /// The health route to ask, over plain HTTP; unset: /health on the admin listener of this machine.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
}

/// Show the effective configuration with each value's source, or its JSON Schema.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api config --config config.toml
  ml-inference-api config --schema > config.schema.json")]
pub(super) struct ConfigArguments {
    #[command(flatten)]
    pub(super) source: ConfigSource,
    /// Print the JSON Schema of the configuration file instead.
    #[arg(long)]
    pub(super) schema: bool,
}

/// Make an API key: the key itself, then its entry for the file `auth.keys_file`.
///
/// The key is shown this once; the server keeps its SHA-256 only.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api key --name web --scopes predict
  ml-inference-api key --name batch --scopes predict,metadata --expires 2027-12-31")]
pub(super) struct KeyArguments {
    /// Who will use it, as logs and spans will show.
    #[arg(long, value_name = "NAME", default_value = "client")]
    pub(super) name: String,
    /// What it may be used for, out of predict, metadata, admin.
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "predict,metadata")]
    pub(super) scopes: Vec<String>,
    /// When it ends: an RFC 3339 date (its first moment in UTC) or date-time; unset: never.
    #[arg(long, value_name = "WHEN")]
    pub(super) expires: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound_and_every_command_shows_examples() {
        let mut command = Arguments::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:"), "{}", sub.get_name());
        }
    }
}
