//! [`Families`]: type, unit and help of metric families, and which samples belong to them.

use std::collections::BTreeMap;

use super::{Event, MetricType};

/// The metadata of one family; the last line of each kind counts, as upstream keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// The type.
    pub metric_type: Option<MetricType>,
    /// The unit.
    pub unit: Option<Vec<u8>>,
    /// The help text.
    pub help: Option<Vec<u8>>,
}

/// What a sample is in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The family's own name.
    Plain,
    /// `_total` of a counter.
    Total,
    /// `_created`: when counting started.
    Created,
    /// `_bucket` of a histogram.
    Bucket,
    /// `_sum`, and `_gsum` of a gauge histogram.
    Sum,
    /// `_count`, and `_gcount` of a gauge histogram.
    Count,
    /// `_info` of an info.
    Info,
}

/// The family of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership<'a> {
    /// The family's name.
    pub name: &'a [u8],
    /// Its metadata.
    pub family: &'a Family,
    /// What the sample is in it.
    pub part: Part,
}

/// Suffixes, the part that they say, and the types that have them.
const SUFFIXES: [(&[u8], Part, &[MetricType]); 8] = {
    use MetricType::{Counter, GaugeHistogram, Histogram, Info, Summary};
    [
        (b"_total", Part::Total, &[Counter]),
        (b"_created", Part::Created, &[Counter, Histogram, Summary]),
        (b"_bucket", Part::Bucket, &[Histogram, GaugeHistogram]),
        (b"_sum", Part::Sum, &[Histogram, Summary]),
        (b"_count", Part::Count, &[Histogram, Summary]),
        (b"_gsum", Part::Sum, &[GaugeHistogram]),
        (b"_gcount", Part::Count, &[GaugeHistogram]),
        (b"_info", Part::Info, &[Info]),
    ]
};

/// The families of an exposition, in order of their names.
#[derive(Debug, Clone, Default)]
pub struct Families(BTreeMap<Vec<u8>, Family>);

impl Families {
    /// Keeps what a TYPE, UNIT or HELP line says; other entries change nothing.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Type { family, metric_type } => self.entry(family).metric_type = Some(*metric_type),
            Event::Unit { family, unit } => self.entry(family).unit = Some(unit.to_vec()),
            Event::Help { family, text } => self.entry(family).help = Some(text.to_vec()),
            _ => {}
        }
    }

    fn entry(&mut self, name: &[u8]) -> &mut Family {
        self.0.entry(name.to_vec()).or_default()
    }

    /// The family of a sample: the one of its own name, or else the one whose type has its suffix. The Prometheus text format
    /// names a counter's family with `_total`, OpenMetrics without; both are found.
    pub fn of<'a>(&'a self, sample: &[u8]) -> Option<Membership<'a>> {
        let by_name = |name: &[u8]| self.0.get_key_value(name);
        let own = by_name(sample);
        let by_suffix = SUFFIXES.iter().find_map(|(suffix, part, types)| {
            let (name, family) = by_name(sample.strip_suffix(*suffix)?)?;
            types.contains(&family.metric_type?).then_some(Membership { name, family, part: *part })
        });
        match own {
            // A name of its own without a type may be help or unit alone.
            Some((name, family)) if family.metric_type.is_some() || by_suffix.is_none() => {
                Some(Membership { name, family, part: Part::Plain })
            }
            _ => by_suffix,
        }
    }

    /// Names and metadata in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Family)> {
        self.0.iter().map(|(name, family)| (name.as_slice(), family))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::{Dialect, Reader};

    fn families(text: &str, dialect: Dialect) -> Families {
        let mut reader = Reader::new(text.as_bytes(), dialect);
        let mut families = Families::default();
        while let Ok(Some(line)) = reader.next_line() {
            assert!(!matches!(line.event, Event::Fault(_)), "{line:?}");
            families.observe(&line.event);
        }
        families
    }

    #[test]
    fn samples_find_their_family() {
        let text = "# TYPE a counter\n# HELP a some\\nthing\n# TYPE b histogram\n# TYPE c summary\n# UNIT c_seconds seconds\n\
                    # TYPE d gaugehistogram\n# TYPE e info\n# TYPE f stateset\n# TYPE g_count gauge\n# TYPE g summary\n# EOF\n";
        let families = families(text, Dialect::OpenMetrics);
        let of = |sample: &str| {
            let m = families.of(sample.as_bytes())?;
            Some((String::from_utf8_lossy(m.name).into_owned(), m.part))
        };
        for (sample, family, part) in [
            ("a_total", "a", Part::Total),
            ("a_created", "a", Part::Created),
            ("a", "a", Part::Plain),
            ("b_bucket", "b", Part::Bucket),
            ("b_sum", "b", Part::Sum),
            ("b_count", "b", Part::Count),
            ("b_created", "b", Part::Created),
            ("c", "c", Part::Plain),
            ("c_count", "c", Part::Count),
            ("d_bucket", "d", Part::Bucket),
            ("d_gsum", "d", Part::Sum),
            ("d_gcount", "d", Part::Count),
            ("e_info", "e", Part::Info),
            ("f", "f", Part::Plain),
            ("g_count", "g_count", Part::Plain),
        ] {
            assert_eq!(of(sample), Some((family.to_owned(), part)), "{sample}");
        }
        for none in ["a_bucket", "b_total", "c_bucket", "d_sum", "e_total", "f_info", "x", "_total"] {
            assert_eq!(of(none), None, "{none}");
        }
        let a = families.of(b"a_total").map(|m| m.family.help.clone());
        assert_eq!(a, Some(Some(b"some\nthing".to_vec())));
        let unit = families.iter().find(|(name, _)| *name == b"c_seconds").map(|(_, f)| f.unit.clone());
        assert_eq!(unit, Some(Some(b"seconds".to_vec())));
    }

    #[test]
    fn counters_of_the_text_format_carry_their_suffix() {
        let families = families("# TYPE a_total counter\n# TYPE b untyped\n", Dialect::Prometheus);
        assert_eq!(families.of(b"a_total").map(|m| m.part), Some(Part::Plain));
        assert_eq!(families.of(b"b").map(|m| m.family.metric_type), Some(Some(MetricType::Unknown)));
    }
}
