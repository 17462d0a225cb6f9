//! Metrics of one name under several labels.
//!
//! The values are the `prometheus` crate's. Its vectors are not used: to be written they are copied whole,
//! labels and all, which for the tens of thousands of series of hundreds of models takes longer than
//! a scrape may. Here a series' labels are text from its first day, and values are read where they are.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::otlp::{Encoder, Label};
use super::text::{self, Series, Writer};
use crate::telemetry::otlp::wire;

/// What makes a series of a family.
type Make<T> = Box<dyn Fn() -> T + Send + Sync>;

/// A metric's series, by their labels. Clones share them.
#[derive(Clone)]
pub(super) struct Family<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    labels: &'static [&'static str],
    /// The places of the labels by their names' order, in which they are written.
    order: Vec<usize>,
    make: Make<T>,
    /// By the values in that order.
    children: RwLock<BTreeMap<Vec<String>, Child<T>>>,
}

struct Child<T> {
    /// Without braces.
    labels: String,
    /// In nanoseconds since the epoch.
    began: u64,
    series: T,
}

impl<T> std::fmt::Debug for Family<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("labels", &self.inner.labels).finish_non_exhaustive()
    }
}

impl<T: Series> Family<T> {
    /// A family without series, which `make` makes.
    pub(super) fn new(labels: &'static [&'static str], make: Make<T>) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_unstable_by_key(|&place| labels[place]);
        Self { inner: Arc::new(Inner { labels, order, make, children: RwLock::default() }) }
    }

    /// The series under `values`, which stand in the order of the labels; made when it is first asked for.
    pub(super) fn with_label_values<V: AsRef<str>>(&self, values: &[V]) -> T {
        let Inner { labels, order, make, children } = &*self.inner;
        debug_assert_eq!(labels.len(), values.len(), "{labels:?}");
        let key: Vec<String> = order.iter().map(|&place| values[place].as_ref().to_owned()).collect();
        let known = children.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = known.get(&key) {
            return child.series.clone();
        }
        drop(known);
        let written: Vec<String> =
            order.iter().map(|&place| text::label(labels[place], values[place].as_ref())).collect();
        let mut children = children.write().unwrap_or_else(PoisonError::into_inner);
        let made =
            || Child { labels: written.join(","), began: wire::nanos(SystemTime::now()), series: make() };
        let child = children.entry(key).or_insert_with(made);
        child.series.clone()
    }

    /// Removes the series under `values`. A handle still held counts into nothing.
    pub(super) fn remove(&self, values: &[&str]) {
        let Inner { order, children, .. } = &*self.inner;
        let key: Vec<String> = order.iter().map(|&place| values[place].to_owned()).collect();
        children.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// What is written under one name: a family, or a metric without labels.
pub(super) trait Rendered: Send + Sync {
    /// Writes it, if it has any series.
    fn render(&self, name: &'static str, help: &str, writer: &mut Writer<'_>);

    /// The same for OTLP; `began` is when telemetry was started, in nanoseconds since the epoch.
    fn encode(&self, text: (&'static str, &str), began: u64, encoder: &mut Encoder);

    /// Removes the series of a version of a model. Handles still held count into nothing.
    fn forget(&self, model: &str, version: &str);
}

impl<T: Series> Rendered for Family<T> {
    fn render(&self, name: &'static str, help: &str, writer: &mut Writer<'_>) {
        let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
        if children.is_empty() {
            return;
        }
        writer.family(name, help, T::KIND);
        for child in children.values() {
            child.series.write(&child.labels, writer);
        }
    }

    fn encode(&self, text: (&'static str, &str), _: u64, encoder: &mut Encoder) {
        let Inner { labels: names, order, children, .. } = &*self.inner;
        let children = children.read().unwrap_or_else(PoisonError::into_inner);
        if children.is_empty() {
            return;
        }
        encoder.metric(text, T::KIND, |points| {
            let mut labels: Vec<Label<'_>> = Vec::with_capacity(names.len());
            for (values, child) in &*children {
                labels.clear();
                labels.extend(order.iter().map(|&place| names[place]).zip(values.iter().map(String::as_str)));
                // A version that was unloaded and loaded again counts from its own beginning.
                child.series.point(&labels, child.began, points);
            }
        });
    }

    fn forget(&self, model: &str, version: &str) {
        let Inner { labels, order, children, .. } = &*self.inner;
        let place = |name: &str| order.iter().position(|&place| labels[place] == name);
        let (Some(of_model), Some(of_version)) = (place("model"), place("version")) else { return };
        let mut children = children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|values, _| values[of_model] != model || values[of_version] != version);
    }
}

impl<T: Series> Rendered for T {
    fn render(&self, name: &'static str, help: &str, writer: &mut Writer<'_>) {
        writer.family(name, help, T::KIND);
        self.write("", writer);
    }

    fn encode(&self, text: (&'static str, &str), began: u64, encoder: &mut Encoder) {
        encoder.metric(text, T::KIND, |points| self.point(&[], began, points));
    }

    fn forget(&self, _: &str, _: &str) {}
}
