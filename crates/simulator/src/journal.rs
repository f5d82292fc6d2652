//! The records of requests.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::endpoint::Endpoint;

/// One request to the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestRecord {
    /// Counts requests from 1, in order of arrival.
    pub sequence: u64,
    pub method: String,
    /// The path below the API's base; at most 256 bytes.
    pub path: String,
    pub endpoint: Endpoint,
    /// The client id, if the credentials were valid. On a token call, if the client id is known.
    pub account: Option<String>,
    /// The number of the token in the request, counted from 1 in order of issue. It tells callers of one account apart. Absent
    /// without a valid token.
    pub token: Option<u64>,
    /// The status of the answer. Absent until the answer is sent, and after the connection was dropped instead.
    pub status: Option<u16>,
    /// The fault that the request met, in words.
    pub fault: Option<String>,
    /// The body of a start, restart or stop.
    pub body: Option<Value>,
    pub at: Timestamp,
}

/// The latest requests, and the counts of all requests.
pub(super) struct Journal {
    limit: usize,
    sequence: u64,
    records: VecDeque<Arc<RequestRecord>>,
    counts: BTreeMap<Endpoint, u64>,
}

impl Journal {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            sequence: 0,
            records: VecDeque::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Records a request and gives it its number.
    pub(super) fn open(&mut self, mut record: RequestRecord) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        record.sequence = self.sequence;
        *self.counts.entry(record.endpoint).or_default() += 1;
        if self.records.len() >= self.limit {
            self.records.pop_front();
        }
        self.records.push_back(Arc::new(record));
        self.sequence
    }

    /// Completes a record, if the ring still has it.
    pub(super) fn close(&mut self, sequence: u64, status: Option<u16>) {
        let first = self.records.front().map_or(0, |record| record.sequence);
        let index = sequence
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(record) = index.and_then(|index| self.records.get_mut(index)) {
            Arc::make_mut(record).status = status;
        }
    }

    pub(super) fn records(&self) -> Vec<Arc<RequestRecord>> {
        self.records.iter().cloned().collect()
    }

    pub(super) fn counts(&self) -> &BTreeMap<Endpoint, u64> {
        &self.counts
    }

    pub(super) fn reset_counts(&mut self) {
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RequestRecord {
        RequestRecord {
            sequence: 0,
            method: "GET".into(),
            path: "/instances/".into(),
            endpoint: Endpoint::ListInstances,
            account: None,
            token: None,
            status: None,
            fault: None,
            body: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_ring_keeps_the_latest_and_the_counts_keep_all() {
        let mut journal = Journal::new(2);
        let sequences: Vec<_> = (0..3).map(|_| journal.open(record())).collect();
        for sequence in sequences {
            journal.close(sequence, Some(200 + u16::try_from(sequence).unwrap()));
        }
        let kept: Vec<_> = journal
            .records()
            .iter()
            .map(|r| (r.sequence, r.status))
            .collect();
        assert_eq!(kept, [(2, Some(202)), (3, Some(203))]);
        assert_eq!(journal.counts().get(&Endpoint::ListInstances), Some(&3));
    }
}
