//! The text of one answer, made by the library that knows the format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// Series of one metric; the others are one more.
const SERIES_MAX: usize = 500;

pub(in crate::api) type Labels = Vec<(&'static str, String)>;
pub(in crate::api) type Samples = Vec<(Labels, f64)>;

#[derive(Debug, Default)]
pub(in crate::api) struct Page {
    registry: Registry,
    /// Name and help of every metric, also of one without a series now.
    pub(in crate::api) described: Vec<String>,
}

impl Page {
    pub(in crate::api) fn one(&mut self, name: &str, help: &str, value: f64) {
        self.gauge(name, help, [(Vec::new(), value)]);
    }

    pub(in crate::api) fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in bounded(samples) {
            family.get_or_create(&labels).inc_by(value);
        }
        self.add(name, help, family);
    }

    /// As [`Self::gauge`], of values that mean nothing when they are added up: beyond the bound they
    /// are left out.
    pub(in crate::api) fn each(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
        self.gauge(name, help, samples.into_iter().take(SERIES_MAX));
    }

    /// `_total` is added to the name.
    pub(in crate::api) fn counter(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Counter<f64, AtomicU64>>::default();
        for (labels, value) in bounded(samples) {
            family.get_or_create(&labels).inc_by(value);
        }
        self.add(name, help, family);
    }

    pub(in crate::api) fn histogram(&mut self, name: &str, help: &str, histogram: Histogram) {
        self.add(name, help, histogram);
    }

    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.described.push(format!("{name}: {help}"));
        self.registry.register(name, help, metric);
    }

    pub(in crate::api) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

/// Beyond the bound every label says `other`.
fn bounded(samples: impl IntoIterator<Item = (Labels, f64)>) -> impl Iterator<Item = (Labels, f64)> {
    samples.into_iter().enumerate().map(|(n, (mut labels, value))| {
        if n >= SERIES_MAX {
            labels.iter_mut().for_each(|(_, value)| "other".clone_into(value));
        }
        (labels, value)
    })
}
