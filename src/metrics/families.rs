//! Samples with their names -> lines of Prometheus' text form, in the dialect OpenMetrics 1.0, which the encoder writes.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::cell::{BOUNDS, Observed};

/// Writes families of samples, one after the other.
#[derive(Debug)]
pub struct Families<'e>(DescriptorEncoder<'e>);

/// What tells the samples of a family apart. The encoder escapes the values.
pub type Labels<'l, const N: usize> = [(&'static str, &'l str); N];

/// What a family's samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They rise, and are written with `_total` behind their name.
    Counter,
    /// They rise and fall.
    Gauge,
    /// Always 1: the labels are what is told. They are written with `_info` behind their name.
    Info,
}

/// A sample's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// Anything else, in its base unit.
    Float(f64),
}

impl<'e> Families<'e> {
    /// A writer onto an encoder.
    #[must_use]
    pub fn new(encoder: DescriptorEncoder<'e>) -> Self {
        Self(encoder)
    }

    /// Writes a family, with what it means in a sentence.
    ///
    /// # Errors
    /// The encoder's.
    pub fn family<'l, const N: usize>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, Value)>,
    ) -> fmt::Result {
        let type_ = match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Info => MetricType::Info,
        };
        let mut family = self.0.encode_descriptor(name, help, None, type_)?;
        for (labels, value) in samples {
            match kind {
                Kind::Info => family.encode_info(&labels)?,
                _ if labels.is_empty() => encode(kind, &mut family, value)?,
                _ => encode(kind, &mut family.encode_family(&labels)?, value)?,
            }
        }
        Ok(())
    }

    /// Writes a family with one sample and no labels.
    ///
    /// # Errors
    /// The encoder's.
    pub fn single(&mut self, kind: Kind, name: &str, help: &str, value: Value) -> fmt::Result {
        self.family(kind, name, help, [([], value)])
    }

    pub(super) fn histograms<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, Observed)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, observed) in samples {
            let ends = BOUNDS.iter().map(std::time::Duration::as_secs_f64).chain([f64::INFINITY]);
            let buckets: Vec<_> = ends.zip(observed.buckets).collect();
            let (sum, count) = (observed.took.as_secs_f64(), observed.buckets.iter().sum());
            if labels.is_empty() {
                family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            } else {
                family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

fn encode(kind: Kind, encoder: &mut MetricEncoder<'_>, value: Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => encoder.encode_counter::<NoLabelSet, _, f64>(&count, None),
        (Kind::Counter, Value::Float(value)) => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
        (_, Value::Count(count)) => encoder.encode_gauge(&count),
        (_, Value::Float(value)) => encoder.encode_gauge(&value),
    }
}
