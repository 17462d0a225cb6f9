//! Tests of the `OTEL_*` variables, row by row.

use super::*;

fn read(pairs: &[(&str, &str)]) -> (OtelOptions, Vec<String>) {
    let vars = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    OtelOptions::from_variables(&vars)
}

fn otlp(pairs: &[(&str, &str)]) -> OtlpOptions {
    match read(pairs).0.exporter {
        TraceExporter::Otlp(otlp) => otlp,
        other => panic!("{pairs:?}: {other:?}"),
    }
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");

#[test]
fn nothing_set_means_no_tracing_and_no_warning() {
    let (options, warnings) = read(&[]);
    assert_eq!((options.exporter, warnings.len()), (TraceExporter::Off, 0));
    assert_eq!(options.sampler, SamplerKind { parent_based: true, root: RootSampler::On });
    assert_eq!((options.queue.capacity, options.queue.batch), (16_384, 512));
    assert_eq!(
        (options.queue.delay, options.queue.export_timeout),
        (Duration::from_secs(5), Duration::from_secs(30))
    );
    assert_eq!((options.limits.attributes, options.limits.value_length), (128, None));
    assert!(options.limits.links > 128);
    assert_eq!(options.propagators, [Propagator::TraceContext]);
}

#[test]
fn endpoints_and_protocols() {
    let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let insecure = "OTEL_EXPORTER_OTLP_INSECURE";
    for (pairs, endpoint, expected) in [
        (vec![(general, "http://c:4317")], "http://c:4317", OtlpProtocol::Grpc),
        (vec![(general, "c:4317")], "https://c:4317", OtlpProtocol::Grpc),
        (vec![(general, "c:4317"), (insecure, "true")], "http://c:4317", OtlpProtocol::Grpc),
        (vec![(general, "c:4318")], "http://c:4318/v1/traces", OtlpProtocol::HttpProtobuf),
        (vec![(general, "https://c:1"), (insecure, "true")], "https://c:1", OtlpProtocol::Grpc),
        (vec![(general, "http://me:s3cret@c:1/x")], "http://c:1/x", OtlpProtocol::Grpc),
        (vec![(general, "http://c:4318/")], "http://c:4318/v1/traces", OtlpProtocol::HttpProtobuf),
        (vec![(general, "http://[::1]:4318")], "http://[::1]:4318/v1/traces", OtlpProtocol::HttpProtobuf),
        (vec![(general, "http://c:4318"), (protocol, "grpc")], "http://c:4318", OtlpProtocol::Grpc),
        (
            vec![(general, "http://c/x"), (protocol, "http/protobuf")],
            "http://c/x/v1/traces",
            OtlpProtocol::HttpProtobuf,
        ),
        (vec![(traces, "http://c:4318/x")], "http://c:4318/x", OtlpProtocol::HttpProtobuf),
        (vec![(traces, "http://t:1"), (general, "http://c:4318")], "http://t:1", OtlpProtocol::Grpc),
        (vec![(general, "http://c:1"), (protocol, "bad")], "http://c:1", OtlpProtocol::Grpc),
    ] {
        let found = otlp(&pairs);
        assert_eq!((found.endpoint.as_str(), found.protocol), (endpoint, expected), "{pairs:?}");
    }
    let signal =
        otlp(&[ENDPOINT, (protocol, "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")]);
    assert_eq!(signal.protocol, OtlpProtocol::HttpProtobuf);
}

#[test]
fn tracing_can_be_switched_off_or_to_the_console() {
    for (key, value, expected) in [
        ("OTEL_SDK_DISABLED", "TRUE", TraceExporter::Off),
        ("OTEL_TRACES_EXPORTER", "none", TraceExporter::Off),
        ("OTEL_TRACES_EXPORTER", "zipkin", TraceExporter::Off),
        ("OTEL_TRACES_EXPORTER", "console", TraceExporter::Console),
        ("OTEL_TRACES_EXPORTER", "console,otlp", TraceExporter::Console),
    ] {
        assert_eq!(read(&[ENDPOINT, (key, value)]).0.exporter, expected, "{key}={value}");
    }
    for bad in ["ftp://c", "", "not a url", "http://", "https://:4317"] {
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]).0.exporter, TraceExporter::Off, "{bad:?}");
    }
}

#[test]
fn headers_timeout_and_compression_prefer_the_form_for_traces() {
    let found = otlp(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x=1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    assert_eq!(found.headers[0], ("authorization".to_owned(), "Bearer s3cret".to_owned()));
    assert_eq!((found.headers.len(), found.timeout, found.gzip), (2, Duration::from_millis(250), true));
    assert!(!format!("{found:?}").contains("s3cret"));
}

#[test]
fn samplers() {
    for (name, arg, parent_based, root) in [
        ("always_on", "", false, RootSampler::On),
        ("always_off", "", false, RootSampler::Off),
        ("traceidratio", "0.25", false, RootSampler::Ratio(0.25)),
        ("parentbased_always_on", "", true, RootSampler::On),
        ("parentbased_always_off", "", true, RootSampler::Off),
        ("parentbased_traceidratio", "0", true, RootSampler::Ratio(0.0)),
    ] {
        let (options, warnings) = read(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
        assert_eq!((options.sampler, warnings.len()), (SamplerKind { parent_based, root }, 0), "{name}");
    }
    for arg in ["2", "-1", "x", "NaN"] {
        let (options, warnings) =
            read(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
        assert_eq!((options.sampler.root, warnings.len()), (RootSampler::Ratio(1.0), 1), "{arg}");
    }
    let (options, warnings) = read(&[("OTEL_TRACES_SAMPLER", "xray")]);
    assert_eq!(
        (options.sampler.parent_based, options.sampler.root, warnings.len()),
        (true, RootSampler::On, 1)
    );
}

#[test]
fn propagators() {
    let (w3c, b3) = (Propagator::TraceContext, Propagator::B3);
    for (text, expected, warnings) in [
        ("tracecontext,baggage", vec![w3c], 0),
        ("baggage", vec![], 0),
        ("none", vec![], 0),
        ("tracecontext, b3", vec![w3c, b3], 0),
        ("b3multi,tracecontext", vec![b3, w3c], 0),
        ("b3,b3multi", vec![b3], 0),
        ("tracecontext,xray", vec![w3c], 1),
    ] {
        let (options, told) = read(&[("OTEL_PROPAGATORS", text)]);
        assert_eq!((options.propagators, told.len()), (expected, warnings), "{text}");
    }
}

#[test]
fn the_service_is_named_by_the_better_source() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=from%20attributes,k8s.pod.name=p%2C1,bad");
    let (options, warnings) = read(&[attributes]);
    assert_eq!(options.service_name.as_deref(), Some("from attributes"));
    assert_eq!(options.resource[1], ("k8s.pod.name".to_owned(), "p,1".to_owned()));
    assert_eq!(warnings.len(), 1);
    let (options, _) = read(&[attributes, ("OTEL_SERVICE_NAME", "named")]);
    assert_eq!(options.service_name.as_deref(), Some("named"));
    let (options, _) = crate::telemetry::Options::from_environment(&BTreeMap::new());
    assert_eq!(options.service_name, "ml-inference-api");
}

#[test]
fn numbers_that_are_none_are_warned_about_and_left_out() {
    let (options, warnings) = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "7"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"),
    ]);
    assert_eq!((options.queue.capacity, options.queue.batch), (100, 100));
    assert_eq!((options.limits.links, options.limits.value_length), (7, Some(5)));
    assert_eq!((options.queue.delay, warnings.len()), (Duration::from_secs(5), 2));
}

#[test]
fn headers_that_http_does_not_take_are_left_out_and_not_told() {
    let (options, warnings) =
        read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "bad name=s3cret,good=1,x=s3cret%0A")]);
    let TraceExporter::Otlp(otlp) = options.exporter else { panic!("no exporter") };
    assert_eq!(otlp.headers, [("good".to_owned(), "1".to_owned())]);
    assert!(warnings.len() == 1 && !warnings[0].contains("s3cret"), "{warnings:?}");
}

#[test]
fn certificates_are_the_signals_own_or_the_general_ones() {
    let general = [
        ENDPOINT,
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert"),
    ];
    let own = [
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/logs/ca"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/logs/key"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/logs/cert"),
    ];
    let found = read(&[&general[..], &own].concat()).0;
    let expected = |folder: &str| TlsOptions {
        authorities: Some(format!("{folder}/ca").into()),
        identity: Some((format!("{folder}/cert").into(), format!("{folder}/key").into())),
    };
    assert_eq!(found.logs.unwrap().otlp.tls, expected("/logs"));
    assert!(matches!(found.exporter, TraceExporter::Otlp(otlp) if otlp.tls == expected("")));
    let (half, warnings) = read(&general[..4]);
    assert_eq!((half.logs.unwrap().otlp.tls.identity, warnings.len()), (None, 1));
}

#[test]
fn metrics_and_logs_leave_by_otlp_only_where_that_is_said() {
    let (metrics, logs) = (("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp"));
    let on = |pairs: &[(&str, &str)]| {
        let (options, warnings) = read(pairs);
        (options.metrics.is_some(), options.logs.is_some(), warnings.len())
    };
    assert_eq!(on(&[ENDPOINT]), (false, false, 0));
    assert_eq!(on(&[ENDPOINT, metrics, logs]), (true, true, 0));
    assert_eq!(on(&[metrics, logs]), (false, false, 2), "there is no endpoint");
    assert_eq!(on(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c:4317"), metrics, logs]), (false, true, 1));
    assert_eq!(on(&[ENDPOINT, metrics, logs, ("OTEL_SDK_DISABLED", "true")]), (false, false, 0));
    for (value, is_on, warnings) in
        [("none", false, 0), ("prometheus", false, 0), ("console", false, 1), ("otlp,prometheus", true, 0)]
    {
        assert_eq!(on(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", value)]), (is_on, false, warnings), "{value}");
    }
    for (value, is_on, warnings) in [("none", false, 0), ("console", false, 1), ("otlp, console", true, 1)] {
        assert_eq!(on(&[ENDPOINT, ("OTEL_LOGS_EXPORTER", value)]), (false, is_on, warnings), "{value}");
    }
}

#[test]
fn metrics_have_their_interval_and_are_cumulative() {
    let on = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_METRICS_EXPORTER", "otlp")];
    let (options, _) = read(&on);
    let metrics = options.metrics.unwrap();
    assert_eq!((metrics.interval, metrics.otlp.timeout), (Duration::from_mins(1), Duration::from_secs(10)));
    assert_eq!(metrics.otlp.endpoint, "http://c:4318/v1/metrics");
    let set = [("OTEL_METRIC_EXPORT_INTERVAL", "1500"), ("OTEL_METRIC_EXPORT_TIMEOUT", "700")];
    let metrics = read(&[on, set].concat()).0.metrics.unwrap();
    assert_eq!(
        (metrics.interval, metrics.otlp.timeout),
        (Duration::from_millis(1500), Duration::from_millis(700))
    );
    let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    for (value, warnings) in [("cumulative", 1), ("CUMULATIVE", 1), ("delta", 2), ("lowmemory", 2)] {
        // One of them is about the port.
        assert_eq!(read(&[on[0], on[1], (preference, value)]).1.len(), warnings, "{value}");
    }
}

#[test]
fn logs_have_a_queue_and_limits_of_their_own() {
    let on = [ENDPOINT, ("OTEL_LOGS_EXPORTER", "otlp")];
    let logs = read(&on).0.logs.unwrap();
    let expected = QueueOptions {
        capacity: 2048,
        batch: 512,
        delay: Duration::from_secs(1),
        export_timeout: Duration::from_secs(30),
    };
    assert_eq!((logs.queue, logs.attributes, logs.value_length), (expected, 128, usize::MAX));
    let set = [
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "7"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "300"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"),
    ];
    let logs = read(&[&on[..], &set].concat()).0.logs.unwrap();
    assert_eq!((logs.queue.capacity, logs.queue.batch), (100, 7));
    assert_eq!(
        (logs.queue.delay, logs.otlp.timeout),
        (Duration::from_millis(20), Duration::from_millis(300))
    );
    assert_eq!((logs.attributes, logs.value_length), (9, 5));
    let own = ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "3");
    assert_eq!(read(&[on[0], on[1], own]).0.logs.unwrap().attributes, 3);
}

#[test]
fn metrics_of_the_conventions_are_opted_into() {
    let of = |text: &str| {
        let semantic = read(&[("OTEL_SEMCONV_STABILITY_OPT_IN", text)]).0.semantic;
        (semantic.http, semantic.rpc)
    };
    assert_eq!(of(""), (false, false));
    assert_eq!(of("database, gen_ai_latest_experimental"), (false, false));
    assert_eq!((of("http"), of("http/dup")), ((true, false), (true, false)));
    assert_eq!(of("database, http/dup , rpc"), (true, true));
    assert_eq!(of("httpx,http/du"), (false, false));
}
