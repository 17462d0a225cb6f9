//! Every kind of mistake, the precedence of the layers, redaction, and the documentation's truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::model::ProviderKind;
use crate::units::{ByteSize, Timespan};

const DOCS: &str = include_str!("../../docs/configuration.md");
const BEGIN: &str = "<!-- keys: begin -->\n";
const END: &str = "<!-- keys: end -->";
const CHART: &str = include_str!("../../helm/ml-inference-api/values.schema.json");
const CHART_BEGIN: &str = "\"configuration\": ";
const CHART_END: &str = "\n  }\n}\n";

fn sources(toml: &str, env: &[(&str, &str)]) -> Sources {
    Sources {
        file: (!toml.is_empty()).then(|| (PathBuf::from("server.toml"), toml.to_owned())),
        env: env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        flags: Flags::default(),
    }
}

#[track_caller]
fn good(toml: &str, env: &[(&str, &str)]) -> Loaded {
    load(&sources(toml, env)).unwrap()
}

#[track_caller]
fn bad(toml: &str, env: &[(&str, &str)]) -> Vec<String> {
    load(&sources(toml, env)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_the_contracts() {
    let loaded = good("", &[]);
    let Config { http, grpc, admin, models, limits, drain, telemetry, log, .. } = &loaded.config;
    assert_eq!(http.addr.to_string(), "0.0.0.0:8080");
    assert_eq!(grpc.addr.to_string(), "0.0.0.0:8081");
    assert_eq!(admin.addr.to_string(), "127.0.0.1:8082");
    assert_eq!(http.max_connections.get(), 10_000);
    let spans = [
        (http.header_timeout, 10),
        (http.body_timeout, 30),
        (http.write_timeout, 30),
        (http.idle_timeout, 75),
        (limits.request_timeout, 30),
        (drain.delay, 5),
        (drain.timeout, 30),
        (telemetry.flush_timeout, 2),
    ];
    for (span, seconds) in spans {
        assert_eq!(span, Timespan(Duration::from_secs(seconds)));
    }
    assert_eq!(http.max_header_bytes, ByteSize(64 << 10));
    assert_eq!(limits.max_body_bytes, ByteSize(64 << 20));
    assert_eq!(limits.max_inflight_bytes, ByteSize(256 << 20));
    assert_eq!((limits.max_json_depth.get(), limits.max_instances.get()), (64, 1024));
    assert!(telemetry.trust_parent && telemetry.service_label && !telemetry.semantic_metrics);
    assert_eq!(String::from(models.paths[0].clone()), "models");
    assert_eq!((&models.default, &models.cache_dir), (&None, &None));
    assert_eq!((log.level.as_str(), log.format, log.access), ("info", LogFormat::Json, AccessLog::Errors));
    assert_eq!(loaded.origins["http.addr"], Origin::Default);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_mistake_names_key_value_source_and_form() {
    let whole = "whole number from 1 to 1000000";
    let files: &[(&str, &[&str])] = &[
        ("[http]\nmax_connections = 0", &["http.max_connections = 0", "server.toml, line 2", whole]),
        ("[http]\nmax_connections = -1", &["http.max_connections = -1", whole]),
        ("[http]\nmax_connections = \"9\"", &["http.max_connections = \"9\"", whole]),
        ("[http]\nmax_connections = 1.5", &["= 1.5", whole]),
        ("[limits]\nmax_json_depth = 128", &["limits.max_json_depth = 128", "from 1 to 127"]),
        (
            "[http]\nheader_timeout = \"0s\"",
            &["http.header_timeout = \"0s\"", "from 1ms to 24h", "us, ms, s"],
        ),
        ("[http]\nheader_timeout = \"25h\"", &["from 1ms to 24h"]),
        ("[http]\nheader_timeout = \"10\"", &["= \"10\"", "a duration", "250ms"]),
        ("[http]\nheader_timeout = 10", &["= 10 ", "a duration"]),
        ("[http]\nmax_header_bytes = \"1KiB\"", &["a size from 8KiB to 16MiB", "64MiB"]),
        (
            "[limits]\nmax_body_bytes = \"64mb\"",
            &["limits.max_body_bytes = \"64mb\"", "a size of at least 1B"],
        ),
        ("[limits]\nmax_body_bytes = \"0B\"", &["a size of at least 1B"]),
        ("[http]\naddr = \"localhost:80\"", &["http.addr = \"localhost:80\"", "an IP address and a port"]),
        ("[grpc]\naddr = \"0.0.0.0:99999\"", &["grpc.addr", "an IP address and a port"]),
        ("[models]\npaths = \"models\"", &["models.paths = \"models\"", "a list of `[NAME=]PATH_OR_URI`"]),
        ("[models]\npaths = []", &["models.paths = []", "at least one entry"]),
        ("[models]\npaths = [\"-a=b\"]", &["models.paths = [\"-a=b\"]", "NAME is a letter or digit"]),
        ("[models]\npaths = [\"a=\"]", &["PATH_OR_URI"]),
        ("[models]\npaths = [7]", &["models.paths = [7]", "PATH_OR_URI"]),
        ("[models]\ndefault = \"a b\"", &["models.default = \"a b\"", "a letter or digit"]),
        ("[models]\ncache_dir = \"\"", &["models.cache_dir = \"\"", "the path of a folder"]),
        ("[telemetry]\ntrust_parent = \"yes\"", &["telemetry.trust_parent", "`true` or `false`"]),
        ("[log]\nformat = \"xml\"", &["log.format = \"xml\"", "one of `json`, `text`"]),
        ("[log]\naccess = \"some\"", &["log.access", "`errors`, `all`, `off`"]),
        ("[log]\nlevel = \"wran\"", &["log.level = \"wran\"", "off, error, warn, info, debug, trace"]),
        ("[log]\nlevel = \"info,hyper=loud\"", &["log.level", "directives"]),
        (
            "[defaults.execution]\nproviders = [\"gpu\"]",
            &["defaults.execution.providers = [\"gpu\"]", "`cpu`, `openvino`, `cuda`, `tensorrt`"],
        ),
        ("[defaults.execution]\nintra_threads = 0", &["defaults.execution.intra_threads = 0", "at least 1"]),
        ("[defaults.execution]\nprecision = \"fp8\"", &["`fp32`, `bf16`, `fp16`, `int8`"]),
        (
            "[defaults.execution.openvino]\na = 1",
            &["defaults.execution.openvino.a = 1", "line 2", "a string"],
        ),
        ("[defaults.execution]\nopenvino = 1", &["defaults.execution.openvino = 1", "a table of strings"]),
        (
            "[defaults.batching]\nmax_queue_delay = 1",
            &["defaults.batching.max_queue_delay = 1", "a duration"],
        ),
        ("http = 1", &["http = 1", "line 1", "a table"]),
        ("[http.addr]\nx = 1", &["http.addr = a table", "an IP address"]),
        (
            "[limits]\nrequest_timout = \"1s\"",
            &["limits.request_timout", "line 2", "did you mean `limits.request_timeout`?"],
        ),
        ("[htpp]\naddr = \"x\"", &["htpp = a table", "line 1", "did you mean `http`?"]),
        ("[http]\nrequest_timeout = \"1s\"", &["did you mean `limits.request_timeout`?"]),
        ("addr = \"x\"", &["did you mean `admin.addr` or `grpc.addr` or `http.addr`?"]),
        ("[admin]\ntoken = \"x\"", &["admin.token = \"<redacted>\"", "did you mean `admin.token_file`?"]),
        ("zzz = 1", &["zzz = 1", "expected a known key"]),
        ("\"http.addr\" = 1", &["http.addr = 1", "a known key"]),
        ("[models]\ndefault_file = 1", &["models.default_file = 1", "path of a file"]),
        (
            "[models]\ndefault_file = \"/no/such\"",
            &["models.default (file /no/such named by models.default_file)", "not found"],
        ),
        ("[http]\naddr = \"x", &["server.toml (line 2): expected valid TOML"]),
        ("[http]\naddr = 1\naddr = 2", &["server.toml (line 3): expected valid TOML", "duplicate"]),
        ("[tls]\nkey_file = \"/dev/null\"", &["tls.key_file = \"/dev/null\"", "`tls.cert_file` beside it"]),
        ("[auth]\nkeys_file = \"/no/such\"", &["auth.keys_file = \"/no/such\"", "can be read", "not found"]),
        (
            "[auth]\nkeys_file = \"/dev/null\"",
            &["auth.keys_file = \"/dev/null\"", "a file of valid keys", "at least one [[keys]]"],
        ),
        ("[auth]\nprotect_metrics = true", &["auth.protect_metrics = true", "`auth.keys_file` beside it"]),
        (
            "[http]\ncors_origins = [\"https://a.example/\"]",
            &["http.cors_origins = [\"https://a.example/\"]", "origins as browsers send them"],
        ),
        ("[http]\ncors_origins = [\"*\", \"https://a.example\"]", &["http.cors_origins", "`*` alone"]),
        ("[admin]\ntoken_file = \"/\"", &["admin.token_file = \"/\"", "is a directory"]),
        ("[admin]\naddr = \"0.0.0.0:8080\"", &["admin.addr", "another port than `http.addr`"]),
    ];
    for (toml, parts) in files {
        let problems = bad(toml, &[]);
        assert_eq!(problems.len(), 1, "{toml}: {problems:?}");
        for part in *parts {
            assert!(problems[0].contains(part), "{toml}: {} lacks {part}", problems[0]);
        }
        assert!(problems[0].contains("expected "), "{toml}");
        assert!(problems[0].contains("server.toml") || problems[0].contains("named by"), "{}", problems[0]);
    }
}

#[test]
fn every_mistake_in_the_environment_names_the_variable() {
    let mistakes: &[(&str, &str, &[&str])] = &[
        ("ML_INFERENCE_HTTP__MAX_CONNECTIONS", "many", &["http.max_connections = \"many\"", "whole number"]),
        ("ML_INFERENCE_HTTP__MAX_CONNECTIONS", "0", &["http.max_connections = 0", "whole number"]),
        ("ML_INFERENCE_TELEMETRY__TRUST_PARENT", "1", &["telemetry.trust_parent", "`true` or `false`"]),
        ("ML_INFERENCE_DRAIN__DELAY", "5", &["drain.delay = \"5\"", "a duration"]),
        ("ML_INFERENCE_MODELS__PATHS", "a=x,,b", &["models.paths", "PATH_OR_URI"]),
        ("ML_INFERENCE_HTTP_ADDR", "x", &["a known key", "did you mean `ML_INFERENCE_HTTP__ADDR`?"]),
        ("ML_INFERENCE_HTTP__ADR", "x", &["did you mean `ML_INFERENCE_HTTP__ADDR`?"]),
        ("ML_INFERENCE_NONSENSE", "", &["a known key"]),
        ("ML_INFERENCE_", "x", &["a known key"]),
        ("ML_INFERENCE_HTTP", "x", &["a known key"]),
        ("ML_INFERENCE_DEFAULTS__EXECUTION__CUDA", "x", &["a known key"]),
        ("ML_INFERENCE_HTTP__MAX_CONNECTIONS_FILE", "/x", &["a known key"]),
        (
            "ML_INFERENCE_MODELS__DEFAULT_FILE",
            "/no/such",
            &["models.default (file /no/such named by", "not found"],
        ),
        (
            "ML_INFERENCE_TLS__CLIENT_CA_FILE",
            "/dev/null",
            &["tls.client_ca_file", "`tls.cert_file` beside it"],
        ),
        ("MODEL_NAME", "a b", &["models.default = \"a b\"", "a letter or digit"]),
        ("RUST_LOG", "hyper=loud", &["log.level = \"hyper=loud\"", "directives"]),
    ];
    for (name, text, parts) in mistakes {
        let problems = bad("", &[(name, text)]);
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        for part in parts.iter().chain([name, &"expected "]) {
            assert!(problems[0].contains(part), "{name}: {} lacks {part}", problems[0]);
        }
    }
}

#[test]
fn all_mistakes_of_all_sources_come_at_once_even_overridden_ones() {
    let toml = "top = 1\n[http]\naddr = \"nowhere\"\nmax_connections = 0\n[log]\nformat = \"xml\"\n";
    let mut sources = sources(toml, &[("ML_INFERENCE_DRAIN__DELAY", "x"), ("ML_INFERENCE_NO", "x")]);
    sources.flags =
        Flags { http: Some(":80".to_owned()), models: vec!["a b=c".to_owned()], ..Flags::default() };
    let problems = load(&sources).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    for key in ["top", "http.max_connections", "log.format", "drain.delay", "ML_INFERENCE_NO", "models.paths"]
    {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert_eq!(keys.iter().filter(|key| **key == "http.addr").count(), 2);
    let flag = problems.iter().find(|problem| problem.origin == "flag --http").unwrap();
    assert_eq!(flag.value.as_deref(), Some("\":80\""));

    // A broken file hides its own keys, not the other sources' mistakes.
    sources.file = Some((PathBuf::from("server.toml"), "a = \nb = [1\n".to_owned()));
    let problems: Vec<_> = load(&sources).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|problem| problem.contains("line 1): expected valid TOML")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("drain.delay")), "{problems:?}");
}

#[test]
fn later_layers_win() {
    for layers in 0..16_u8 {
        let given = |bit: u8| layers & (1 << bit) != 0;
        let toml = if given(0) { "[http]\naddr = \"127.0.0.1:1\"\n" } else { "" };
        let env = [("ML_INFERENCE_HTTP__ADDR", "127.0.0.1:2")];
        let mut sources = sources(toml, if given(1) { &env } else { &[] });
        sources.flags.http = given(2).then(|| "127.0.0.1:3".to_owned());
        // Another key of the same section must not disturb.
        sources.env.extend(given(3).then(|| ("ML_INFERENCE_HTTP__MAX_CONNECTIONS".into(), "7".into())));
        let (port, origin) = match (given(2), given(1), given(0)) {
            (true, ..) => (3, Origin::Flag("--http")),
            (_, true, _) => (2, Origin::Environment("ML_INFERENCE_HTTP__ADDR".to_owned())),
            (.., true) => (1, Origin::File(PathBuf::from("server.toml"))),
            _ => (8080, Origin::Default),
        };
        let loaded = load(&sources).unwrap();
        assert_eq!((loaded.config.http.addr.port(), &loaded.origins["http.addr"]), (port, &origin));
        assert_eq!(loaded.config.http.max_connections.get(), if given(3) { 7 } else { 10_000 });
    }
}

#[test]
fn foreign_variables_have_their_place() {
    let toml = "[models]\ndefault = \"file\"\n[log]\nlevel = \"error\"\n";
    let exact = ("ML_INFERENCE_MODELS__DEFAULT", "exact");
    let name = |loaded: &Loaded| loaded.config.models.default.as_ref().unwrap().to_string();
    assert_eq!(name(&good(toml, &[])), "file");
    let loaded = good(toml, &[("MODEL_NAME", "variable")]);
    assert_eq!(name(&loaded), "variable");
    assert_eq!(loaded.origins["models.default"], Origin::Environment("MODEL_NAME".to_owned()));
    assert_eq!(name(&good(toml, &[("MODEL_NAME", "variable"), exact])), "exact");

    let loaded = good(toml, &[("RUST_LOG", "warn,hyper"), ("ML_INFERENCE_LOG__LEVEL", "debug")]);
    assert_eq!(loaded.config.log.level.as_str(), "warn,hyper=trace");
    assert_eq!(loaded.rust_log.as_deref(), Some("warn,hyper"));
    assert!(loaded.warnings[0].contains("RUST_LOG wins"));

    let env = [("CUDA_VISIBLE_DEVICES", ""), ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")];
    let loaded = good("", &env);
    assert_eq!(loaded.cuda.visible_devices.as_deref(), Some(""), "empty: no device, and no warning");
    assert_eq!(loaded.cuda.device_order.as_deref(), Some("PCI_BUS_ID"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);

    let env = [("ORT_DYLIB_PATH", "/lib/ort.so"), ("OTEL_SDK_DISABLED", "true"), ("HOME", "/")];
    let loaded = good("", &env);
    assert_eq!(loaded.ort_dylib_path, Some(PathBuf::from("/lib/ort.so")));
    assert_eq!(loaded.otel, BTreeMap::from([("OTEL_SDK_DISABLED".to_owned(), "true".to_owned())]));
}

#[test]
fn empty_variables_are_unset_with_a_warning() {
    let names = [
        "ML_INFERENCE_HTTP__ADDR",
        "ML_INFERENCE_MODELS__DEFAULT_FILE",
        "MODEL_NAME",
        "ORT_DYLIB_PATH",
        "OTEL_SERVICE_NAME",
        "RUST_LOG",
    ];
    let loaded = good("[http]\naddr = \"127.0.0.1:1\"", &names.map(|name| (name, "")));
    assert_eq!(loaded.config.http.addr.port(), 1);
    assert_eq!((&loaded.rust_log, &loaded.ort_dylib_path, loaded.otel.len()), (&None, &None, 0));
    for name in names {
        let warnings = loaded.warnings.iter().filter(|warning| warning.starts_with(name));
        assert_eq!(warnings.count(), 1, "{name}: {:?}", loaded.warnings);
    }
}

#[test]
fn values_of_the_environment_take_their_keys_kind() {
    let env = [
        ("ML_INFERENCE_MODELS__PATHS", "a=x/y, s3://bucket/m?v=1 ,dir/b=c"),
        ("ML_INFERENCE_DEFAULTS__EXECUTION__INTRA_THREADS", "3"),
        ("ML_INFERENCE_DEFAULTS__EXECUTION__PROVIDERS", "openvino,cpu"),
        ("ML_INFERENCE_DEFAULTS__EXECUTION__OPENVINO__NUM_OF_THREADS", "2"),
        ("ML_INFERENCE_DEFAULTS__EXECUTION__OPENVINO__LOAD_CONFIG", ""),
        ("ML_INFERENCE_TELEMETRY__SERVICE_LABEL", "false"),
        ("ML_INFERENCE_LOG__ACCESS", "off"),
    ];
    let config = good("[defaults.execution.openvino]\ndevice_type = \"CPU\"", &env).config;
    let paths: Vec<_> = config.models.paths.iter().map(|path| path.location.as_str()).collect();
    assert_eq!(paths, ["x/y", "s3://bucket/m?v=1", "dir/b=c"]);
    assert_eq!(config.models.paths[0].name.as_ref().unwrap().as_str(), "a");
    assert_eq!(config.models.paths[1].name, None);
    let execution = &config.defaults.execution;
    assert_eq!(execution.intra_threads.unwrap().get(), 3);
    assert_eq!(execution.providers, Some(vec![ProviderKind::Openvino, ProviderKind::Cpu]));
    let openvino = [("device_type", "CPU"), ("num_of_threads", "2")];
    assert_eq!(
        execution.openvino,
        Some(openvino.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
    );
    assert!(!config.telemetry.service_label);
    assert_eq!(config.log.access, AccessLog::Off);
}

#[test]
fn strings_may_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("name");
    fs::write(&path, "from-file\r\n").unwrap();
    let text = path.to_str().unwrap();
    let toml = format!("[models]\ndefault_file = '{text}'\n");
    let both = format!("{toml}default = \"exact\"\n");
    let variable = "ML_INFERENCE_MODELS__DEFAULT_FILE";
    let name = |loaded: &Loaded| loaded.config.models.default.as_ref().unwrap().to_string();
    let origin = |name: &str| Origin::SecretFile { name: name.to_owned(), path: path.clone() };

    let loaded = good(&toml, &[]);
    assert_eq!(
        (name(&loaded).as_str(), &loaded.origins["models.default"]),
        ("from-file", &origin("models.default_file"))
    );
    let loaded = good(&both, &[(variable, text), ("MODEL_NAME", "variable")]);
    assert_eq!((name(&loaded).as_str(), &loaded.origins["models.default"]), ("from-file", &origin(variable)));
    assert!(loaded.warnings[0].contains("models.default_file is ignored"), "{:?}", loaded.warnings);
    assert!(!show(&loaded).contains("from-file"));
    assert!(show(&loaded).contains("<redacted>"));
    assert_eq!(name(&good(&both, &[])), "exact");
    let loaded = good("", &[(variable, "/no/such"), ("ML_INFERENCE_MODELS__DEFAULT", "exact")]);
    assert_eq!(name(&loaded), "exact");
    assert!(loaded.warnings[0].contains(variable));

    fs::write(&path, "not a name, perhaps a password").unwrap();
    let problems = bad(&toml, &[]);
    assert!(problems[0].contains("<redacted>") && !problems[0].contains("password"), "{problems:?}");

    // Keys that end in `_file` hold the path itself.
    fs::write(&path, "a-token-of-some-length\n").unwrap();
    let loaded = good("", &[("ML_INFERENCE_ADMIN__TOKEN_FILE", text)]);
    assert_eq!(loaded.config.admin.token_file, Some(path));
    assert!(show(&loaded).contains("ML_INFERENCE_ADMIN__TOKEN_FILE"));
}

#[test]
fn neighbouring_services_are_no_mistakes() {
    let env = [
        ("ML_INFERENCE_API_SERVICE_HOST", "10.0.0.1"),
        ("ML_INFERENCE_API_SERVICE_PORT", "8080"),
        ("ML_INFERENCE_API_SERVICE_PORT_HTTP", "8080"),
        ("ML_INFERENCE_API_PORT", "tcp://10.0.0.1:8080"),
        ("ML_INFERENCE_API_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    good("", &env);
    assert_eq!(bad("", &env[3..]).len(), 2);
}

#[test]
fn secrets_are_never_shown() {
    let problems = bad(
        "[admin]\ntoken = \"s3cret\"\n[tls]\nkey = \"s3cret\"\n",
        &[
            ("ML_INFERENCE_ADMIN__TOKEN", "s3cret"),
            ("ML_INFERENCE_MODELS__PATHS", "-x=https://user:s3cret@host/m?sig=s3cret"),
        ],
    );
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().all(|problem| !problem.contains("s3cret")), "{problems:?}");
    let shown = show(&good(
        "",
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=s3cret"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@collector:4318"),
            ("ML_INFERENCE_MODELS__PATHS", "m=s3://k:s3cret@bucket/m?X-Sig=s3cret"),
        ],
    ));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("collector:4318") && shown.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{shown}");
}

#[test]
fn origins_are_taken_as_browsers_send_them() {
    for origin in
        ["*", "https://app.example.com", "http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:80a"]
    {
        let toml = format!("[http]\ncors_origins = [\"{origin}\"]");
        assert_eq!(load(&sources(&toml, &[])).is_ok(), !origin.ends_with('a'), "{origin}");
    }
    for origin in ["http://[::1]:8080", "chrome-extension://abcdefghijklmnop", "https://a_b.example"] {
        let loaded = good("", &[("ML_INFERENCE_HTTP__CORS_ORIGINS", origin)]);
        assert_eq!(
            loaded.config.http.cors_origins.iter().map(CorsOrigin::as_str).collect::<Vec<_>>(),
            [origin]
        );
    }
    assert_eq!(good("[http]\ncors_origins = []", &[]).config, Config::default());
}

#[test]
fn shown_configuration_is_toml_that_loads_to_the_same() {
    let toml = "[models]\npaths = [\"a=b\", 'c\"d']\ndefault = \"a\"\n[defaults.execution.cuda]\n\"odd option\" = \"x # y\"\n";
    let mut sources = sources(toml, &[("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "1GiB")]);
    sources.flags.grpc = Some("[::1]:0".to_owned());
    let loaded = load(&sources).unwrap();
    assert!(loaded.warnings[0].contains("limits.max_inflight_bytes"));
    let shown = show(&loaded);
    for line in [
        "max_body_bytes = \"1GiB\"  # environment ML_INFERENCE_LIMITS__MAX_BODY_BYTES",
        "addr = \"[::1]:0\"  # flag --grpc",
        "default = \"a\"  # file server.toml",
        "timeout = \"30s\"  # default",
        "# cache_dir is not set",
    ] {
        assert!(shown.lines().any(|other| other == line), "{line} in\n{shown}");
    }
    assert_eq!(good(&shown, &[]).config, loaded.config);
}

#[test]
fn the_schema_has_every_key_described_and_no_more() {
    let schema: Json = serde_json::from_str(&json_schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut missing = BTreeSet::new();
    for key in keys::keys() {
        let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
        let node = schema.pointer(&pointer).unwrap_or_else(|| panic!("{} in the schema", key.path));
        let described = node["description"].as_str().is_some_and(|text| text.contains(&key.form));
        if !described || key.description.is_empty() {
            missing.insert(&key.path);
        }
    }
    assert_eq!(missing, BTreeSet::new());
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["http"]["additionalProperties"], false);
    assert_eq!(schema["properties"]["http"]["properties"]["max_connections"]["default"], 10_000);
    assert_eq!(schema["properties"]["http"]["properties"]["header_timeout"]["default"], "10s");
    assert!(schema["properties"]["models"]["properties"]["default_file"].is_object());
    let text = json_schema();
    assert!(!text.contains("\"x-") && !text.contains("null"), "{text}");
}

#[test]
fn every_default_of_the_table_loads() {
    for key in keys::keys() {
        let Some(default) = reference::default_of(&key.path) else { continue };
        let (section, name) = key.path.rsplit_once('.').unwrap();
        good(&format!("[{section}]\n{name} = {default}\n"), &[]);
    }
}

#[test]
fn examples_of_the_documentation_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("name");
    fs::write(&secret, "fraud-detector\n").unwrap();
    let blocks: Vec<_> = DOCS.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).collect();
    assert_eq!(blocks.len(), 2);
    for (block, _) in blocks {
        good(&block.replace("/run/secrets/default-model", secret.to_str().unwrap()), &[]);
    }
}

#[test]
fn the_documentation_is_not_stale() {
    let (head, rest) = DOCS.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let fresh = format!("{head}{BEGIN}{}\n{END}{tail}", reference::tables());
    if option_env!("BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md"), fresh).unwrap();
    } else {
        assert!(
            DOCS == fresh,
            "docs/configuration.md is stale; run `BLESS=1 cargo test --release --lib config::`"
        );
    }
}

/// The chart refuses a key of `config` that the server would refuse: its schema of the values has ours inside.
#[test]
fn the_schema_of_the_charts_values_has_this_one() {
    let mut schema: Json = serde_json::from_str(&json_schema()).unwrap();
    schema.as_object_mut().unwrap().remove("$schema");
    let (head, rest) = CHART.split_once(CHART_BEGIN).expect("values.schema.json has a configuration");
    let (_, tail) = rest.rsplit_once(CHART_END).expect("the configuration ends the schema");
    let own = format!("{schema:#}").replace('\n', "\n    ");
    let fresh = format!("{head}{CHART_BEGIN}{own}{CHART_END}{tail}");
    if option_env!("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/ml-inference-api/values.schema.json");
        fs::write(path, fresh).unwrap();
    } else {
        assert!(
            CHART == fresh,
            "helm/ml-inference-api/values.schema.json is stale; run `BLESS=1 cargo test --release --lib config::`"
        );
    }
}

fn any_path() -> impl Strategy<Value = String> {
    let known: Vec<_> = keys::keys().iter().map(|key| key.path.clone()).collect();
    prop_oneof![
        4 => proptest::sample::select(known),
        1 => "[a-z_]{0,6}(\\.[a-z_]{0,6}){0,3}",
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,20}", "[0-9]{1,20}(ms|s|h|MiB|GB|B)?", "[a-z=,:/@?.]{0,20}", Just("true".to_owned())]
}

proptest! {
    #[test]
    fn no_input_makes_the_loader_panic(
        variables in proptest::collection::btree_map(any_path(), any_text(), 0..4),
        values in proptest::collection::btree_map(any_path(), any_text(), 0..4),
        quoted in any::<bool>(),
    ) {
        let line = |(path, text): (&String, &String)| {
            if quoted { format!("{path} = {text:?}\n") } else { format!("{path} = {text}\n") }
        };
        let toml: String = values.iter().map(line).collect();
        let env: Vec<_> = variables.iter().map(|(path, text)| (keys::variable(path), text)).collect();
        let env: Vec<_> = env.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        match load(&sources(&toml, &env)) {
            // What was accepted is shown as TOML that is accepted again.
            Ok(loaded) => { good(&show(&loaded), &[]); }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
