//! Requests and answers, whatever answers them.

use std::collections::BTreeMap;

use osbuild_schema::Problem;
use serde_json::{Value, json};

use crate::generation::Who;
use crate::store::StoreError;

/// A request, by whatever way it came.
pub struct Request<'r> {
    pub method: &'r str,
    pub path: &'r str,
    pub query: &'r BTreeMap<String, String>,
    pub body: &'r [u8],
    pub who: Who,
}

/// Its answer: a status of HTTP and a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// Why a request is not granted.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) problems: Vec<Problem>,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), problems: Vec::new() }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, kind, message, problems } = refusal;
        let problems: Vec<Value> = problems
            .iter()
            .map(|problem| json!({ "at": problem.at, "message": problem.what.to_string() }))
            .collect();
        let error = json!({ "kind": kind, "message": message, "problems": problems });
        Self { status, body: json!({ "schema": 1, "error": error }) }
    }
}

impl From<Vec<Problem>> for Refusal {
    fn from(problems: Vec<Problem>) -> Self {
        let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Self { problems, ..Self::new(422, "invalid", message) }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid(problems) => problems.into(),
            error @ (StoreError::Unconfirmed { .. } | StoreError::NothingUnconfirmed) => {
                Self::new(409, "conflict", error.to_string())
            }
            error @ StoreError::NoGeneration(_) => Self::new(404, "not-found", error.to_string()),
            error @ StoreError::Io { .. } => Self::new(500, "storage", error.to_string()),
        }
    }
}
