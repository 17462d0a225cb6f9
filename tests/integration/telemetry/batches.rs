//! Batches as a real Collector gets them: every member linked to its batch, the batch to every member, and
//! no span whose parent is nowhere.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::collector::Collector;
use crate::harness::spans::{INTERNAL, SERVER, Span};
use crate::harness::{Connection, Repository, Request, Server, models};

/// Server, model-inference, and its four stages.
const TREE: usize = 6;
/// A batch, and what it consists of.
const OF_BATCH: [&str; 4] = ["batch.assemble", "batch.scatter", "inference.batch", "model.execute"];
/// The largest first: the eighth batch of a model is one of half the size, to learn whether that is better.
const SIZES: [usize; 4] = [128, 8, 2, 1];
const CALLER: &str = "00f067aa0ba902b7";

fn trace(size: usize, member: usize) -> String {
    format!("{size:08x}{member:024x}")
}

fn request(size: usize, member: usize, flags: &str) -> Request {
    #[expect(clippy::cast_precision_loss, reason = "a hundred members")]
    let ask = Request::json("/predict/slow", &models::slow_for(1, member as f64));
    ask.header("traceparent", &format!("00-{}-{CALLER}-{flags}", trace(size, member)))
        .header("tracestate", "vendor=kept")
}

/// Sends so many requests while the model is busy with another, so that they become one batch; says whether they did.
fn run_together(server: &Server, size: usize) -> bool {
    let mut busy = Connection::open(server.http);
    busy.write(
        &Request::json("/predict/slow", &models::slow_for(1500, 0.0))
            .header("traceparent", &format!("00-{}-{CALLER}-00", trace(size, 0)))
            .bytes(),
    );
    server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
    let mut members = Vec::new();
    for member in 1..=size {
        let mut connection = Connection::open(server.http);
        connection.write(&request(size, member, "01").bytes());
        members.push(connection);
    }
    #[expect(clippy::cast_precision_loss, reason = "a hundred members")]
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], size as f64);
    busy.read().ok();
    let mut together = 0;
    for connection in &mut members {
        let answer = connection.read();
        answer.ok();
        together +=
            usize::from(answer.header("server-timing").unwrap().contains(&format!("desc=\"{size}\"")));
    }
    together == size
}

/// A server behind a Collector, which has run a batch of each size. None: this server divides the largest, since its
/// warm-up was slowed down by what else the machine did, so that half the rows look as good to it as all.
fn batches_of_all_sizes() -> Option<(Collector, Server)> {
    let collector = Collector::start();
    // Warm-up takes long enough to be measured: of runs of microseconds half the size may look as good as the whole.
    let manifest =
        format!("{}[queue]\nmax_size = 200\n[batching]\nmax_batch_size = 128\n", models::slow_warmup(20));
    let builder = Server::builder().repository(Repository::new().model("slow", "slow", &manifest));
    let server = collector.by_grpc(builder).start();
    SIZES.iter().all(|&size| run_together(&server, size)).then_some((collector, server))
}

/// The tree of one member; gives its `model-inference` span and the batch that it is linked to.
#[track_caller]
fn assert_member(spans: &[Span], size: usize) -> (&Span, (String, String)) {
    let one = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name} in {spans:#?}");
        found[0]
    };
    let (server, inference) = (one("POST /predict/{model}"), one("model-inference"));
    assert_eq!((server.kind, server.status, server.parent.as_str()), (SERVER, 0, CALLER));
    assert_eq!((inference.kind, inference.status, &inference.parent), (INTERNAL, 0, &server.id));
    assert_eq!(inference.attributes["inference.batch.size"], json!(size));
    for stage in ["preprocess", "inference.queue", "inference.execute", "postprocess"] {
        let span = one(stage);
        assert_eq!((span.kind, span.status, &span.parent), (INTERNAL, 0, &inference.id), "{stage}");
    }
    let [link] = &one("inference.execute").links[..] else { panic!("{spans:#?}") };
    assert_eq!(inference.attributes["inference.batch.trace_id"], json!(link.trace));
    (inference, (link.trace.clone(), link.id.clone()))
}

fn assert_linked(collector: &Collector, size: usize) {
    let mut inferences = BTreeSet::new();
    let mut batches = BTreeSet::new();
    for member in 1..=size {
        let spans = collector.trace(&trace(size, member), TREE);
        assert_eq!(spans.len(), TREE, "{spans:#?}");
        assert!(spans.iter().all(|span| span.state == "vendor=kept"), "{spans:#?}");
        let (inference, batch) = assert_member(&spans, size);
        inferences.insert((inference.trace.clone(), inference.id.clone()));
        batches.insert(batch);
    }
    let [(of_batch, id)] = &batches.into_iter().collect::<Vec<_>>()[..] else {
        panic!("one batch of {size}")
    };
    let spans = collector.trace(of_batch, OF_BATCH.len());
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, OF_BATCH);
    let batch = spans.iter().find(|span| span.name == "inference.batch").unwrap();
    assert_eq!((&batch.id, batch.parent.as_str(), batch.kind), (id, "", INTERNAL));
    assert!(spans.iter().all(|span| span.id == *id || span.parent == *id), "{spans:#?}");
    assert_eq!(batch.attributes["inference.batch.size"], json!(size));
    let linked: Vec<_> = batch.links.iter().map(|link| (link.trace.clone(), link.id.clone())).collect();
    assert_eq!((linked.len(), linked.into_iter().collect::<BTreeSet<_>>()), (size, inferences));
}

#[test]
fn members_and_batch_are_linked_both_ways_at_every_size_and_nothing_is_an_orphan() {
    let (collector, _server) = (0..5)
        .find_map(|_| batches_of_all_sizes())
        .expect("of five servers one takes 128 rows that wait as one batch");
    for size in SIZES {
        assert_linked(&collector, size);
    }
    let spans = collector.spans();
    let ids: BTreeSet<(&str, &str)> =
        spans.iter().map(|span| (span.trace.as_str(), span.id.as_str())).collect();
    assert_eq!(ids.len(), spans.len(), "no span came twice");
    for span in &spans {
        let has_parent = span.parent.is_empty() || ids.contains(&(span.trace.as_str(), span.parent.as_str()));
        assert!(has_parent || span.parent == CALLER, "an orphan: {span:#?}");
        for link in &span.links {
            assert!(ids.contains(&(link.trace.as_str(), link.id.as_str())), "a link to nothing: {span:#?}");
        }
    }
    let unsampled: Vec<_> = SIZES.iter().map(|size| trace(*size, 0)).collect();
    assert!(spans.iter().all(|span| !unsampled.contains(&span.trace)), "what is not sampled is not there");
}
