//! The record of a difference. The caller adds `"schema": 1`.
//!
//! Names and bytes need not be UTF-8: names and lines are in the form of
//! [`printable`], bytes in hexadecimal. Fields are always there, `null` or
//! empty where there is nothing.

use serde::Serialize;

use crate::difference::{Difference, Excerpt, LineSide, Sides, StepKind, What, printable};
use crate::fields::hex;

/// A difference as it is written out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    step: StepRecord,
    what: &'static str,
    format: Option<&'static str>,
    /// The two kinds, or the two values, where those are what differs.
    left: Option<String>,
    right: Option<String>,
    left_bytes: Option<u64>,
    right_bytes: Option<u64>,
    first_offset: Option<u64>,
    differing_bytes: Option<u64>,
    differing_runs: Option<u64>,
    excerpt: Option<ExcerptRecord>,
    hints: Vec<HintRecord>,
    notes: Vec<String>,
    children: Vec<Record>,
    children_omitted: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepRecord {
    kind: &'static str,
    name: String,
    occurrence: u32,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ExcerptRecord {
    Bytes { offset: u64, left: String, right: String },
    Lines { lines: Vec<LineRecord>, omitted: u64 },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineRecord {
    side: &'static str,
    number: u64,
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HintRecord {
    class: &'static str,
    evidence: String,
}

impl From<&Difference> for Record {
    fn from(node: &Difference) -> Self {
        let (what, sides) = match &node.what {
            What::OnlyLeft => ("only-left", None),
            What::OnlyRight => ("only-right", None),
            What::Kind(Sides { left, right }) => ("kind", Some(((*left).to_owned(), (*right).to_owned()))),
            What::Value(Sides { left, right }) => ("value", Some((printable(left), printable(right)))),
            What::Bytes => ("bytes", None),
            What::Text => ("text", None),
            What::Order => ("order", None),
            What::Encoding => ("encoding", None),
            What::Inside => ("inside", None),
        };
        let (left, right) = sides.unzip();
        Self {
            step: StepRecord {
                kind: step_word(node.step.kind),
                name: printable(&node.step.name),
                occurrence: node.step.occurrence,
            },
            what,
            format: node.format,
            left,
            right,
            left_bytes: node.sizes.left,
            right_bytes: node.sizes.right,
            first_offset: node.place.map(|place| place.first_offset),
            differing_bytes: node.place.map(|place| place.bytes),
            differing_runs: node.place.map(|place| place.runs),
            excerpt: node.excerpt.as_ref().map(excerpt),
            hints: node
                .hints
                .iter()
                .map(|hint| HintRecord { class: hint.class.word(), evidence: hint.evidence.clone() })
                .collect(),
            notes: node.notes.clone(),
            children: node.children.iter().map(Self::from).collect(),
            children_omitted: node.children_omitted,
        }
    }
}

fn excerpt(excerpt: &Excerpt) -> ExcerptRecord {
    match excerpt {
        Excerpt::Bytes { offset, sides } => {
            ExcerptRecord::Bytes { offset: *offset, left: hex(&sides.left), right: hex(&sides.right) }
        }
        Excerpt::Lines { lines, omitted } => {
            let lines = lines.iter().map(|line| LineRecord {
                side: match line.side {
                    LineSide::Both => "both",
                    LineSide::Left => "left",
                    LineSide::Right => "right",
                },
                number: line.number,
                text: printable(&line.text),
            });
            ExcerptRecord::Lines { lines: lines.collect(), omitted: *omitted }
        }
    }
}

fn step_word(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Root => "root",
        StepKind::Entry => "entry",
        StepKind::Member => "member",
        StepKind::Content => "content",
        StepKind::Section => "section",
        StepKind::Partition => "partition",
        StepKind::Field => "field",
        StepKind::Pointer => "pointer",
        StepKind::Part => "part",
        StepKind::Sequence => "sequence",
    }
}
