//! The yardstick: an axum server that decodes the same body into 30 numbers and answers the same
//! JSON with no model, no limits, no metrics. `benches/run.sh` measures both side by side.
//!
//! Plain axum on hyper-util's connections, as in axum's own examples. Prints its address, then
//! serves until it is killed.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::{Router, routing::post};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// Where each feature stands in a row.
type Features = HashMap<String, usize>;

/// An object of numbers by name, straight into a row.
struct Row<'a>(&'a Features);

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<f32>, A::Error> {
        let mut row = vec![f32::NAN; self.0.len()];
        while let Some((name, value)) = map.next_entry::<std::borrow::Cow<'_, str>, f32>()? {
            let place = self.0.get(&*name).and_then(|&at| row.get_mut(at));
            *place.ok_or_else(|| serde::de::Error::custom("unknown feature"))? = value;
        }
        Ok(row)
    }
}

/// An answer of the same size and shape as the model's.
#[derive(Serialize)]
struct Answer {
    label: &'static str,
    confidence: f32,
    scores: Scores,
    model: Model,
}

struct Scores([(&'static str, f32); 2]);

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        for (label, score) in self.0 {
            map.serialize_entry(label, &score)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Model {
    name: &'static str,
    version: &'static str,
}

async fn predict(State(features): State<Arc<Features>>, body: Bytes) -> impl IntoResponse {
    let mut json = serde_json::Deserializer::from_slice(&body);
    let row = json.deserialize_map(Row(&features)).ok().filter(|row| row.iter().all(|x| x.is_finite()));
    let Some(row) = row else { return StatusCode::BAD_REQUEST.into_response() };
    // From the input, so that none of the decoding can be left out.
    let score = 0.9 + (row.iter().sum::<f32>() * 1e-9).clamp(0.0, 0.09);
    let scores = Scores([("legitimate", score), ("fraud", 1.0 - score)]);
    let model = Model { name: "fraud-detector", version: "1" };
    let answer = Answer { label: "legitimate", confidence: score, scores, model };
    match serde_json::to_vec(&answer) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn main() -> std::io::Result<()> {
    let names = std::env::args().nth(1).unwrap_or_default();
    let features: Features = names.split(',').enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
    let app = Router::new().route("/predict/{model}", post(predict)).with_state(Arc::new(features));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(app))
}

async fn serve(app: Router) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let connections = auto::Builder::new(TokioExecutor::new());
            // A client that goes away ends its connection, nothing else.
            drop(connections.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
