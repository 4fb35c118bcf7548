//! What is kept of a build's account: every beginning and every end, the latest state of everything that moves on, and the
//! end of what its commands wrote. Pure.
//!
//! A command may write more than there is memory, and whoever watches may be slower than it is: of output, a fixed amount is
//! kept for those that are behind, who are told that something is missing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::api::control::{StatusResponse, VertexLog};

/// Bytes of output that are kept for a build.
pub(super) const MAX_OUTPUT: usize = 4 << 20;

/// Output that is given at once, in bytes: far below what fits into a message.
const PIECE: usize = 64 << 10;

/// Messages that are given at once.
const MESSAGES: usize = 256;

/// What stands in the place of output that is not kept.
const MISSING: &[u8] = b"[output clipped: too much of it for whoever reads it later]\n";

/// Messages by number, without those that nobody needs any more.
#[derive(Debug, Default)]
pub(super) struct Kept {
    messages: BTreeMap<u64, StatusResponse>,
    next: u64,
    /// Output in the order in which it was written: numbers of messages, and their bytes.
    output: VecDeque<(u64, usize)>,
    output_bytes: usize,
    /// Where each step's output has a gap.
    gaps: HashMap<String, u64>,
    /// The message that has the latest state of a part of a step.
    states: HashMap<(String, String), u64>,
}

impl Kept {
    /// Takes a message, and gives up what it makes dispensable.
    pub(super) fn push(&mut self, message: StatusResponse) {
        let number = self.next;
        self.next += 1;
        for status in &message.statuses {
            let part = (status.vertex.clone(), status.id.clone());
            if let Some(before) = self.states.insert(part, number) {
                self.give_up(before);
            }
        }
        let bytes: usize = message.logs.iter().map(|log| log.msg.len()).sum();
        self.messages.insert(number, message);
        if bytes > 0 {
            self.output.push_back((number, bytes));
            self.output_bytes += bytes;
        }
        while self.output_bytes > MAX_OUTPUT {
            let Some((oldest, bytes)) = self.output.pop_front() else { return };
            self.output_bytes -= bytes;
            self.clip(oldest);
        }
    }

    /// How many messages there were.
    pub(super) fn count(&self) -> u64 {
        self.next
    }

    /// What is kept from that number on, or the first part of it, as one message; and the number after it. Nothing if there
    /// is no more.
    pub(super) fn from(&self, number: u64) -> Option<(StatusResponse, u64)> {
        let mut all = StatusResponse::default();
        let mut next = None;
        let mut bytes = 0;
        for (found, message) in self.messages.range(number..).take(MESSAGES) {
            bytes += message.logs.iter().map(|log| log.msg.len()).sum::<usize>();
            if next.is_some() && bytes > PIECE {
                break;
            }
            all.vertexes.extend_from_slice(&message.vertexes);
            all.statuses.extend_from_slice(&message.statuses);
            all.logs.extend_from_slice(&message.logs);
            all.warnings.extend_from_slice(&message.warnings);
            next = Some(found + 1);
        }
        next.map(|next| (all, next))
    }

    /// Everything that is kept.
    pub(super) fn all(&self) -> Vec<StatusResponse> {
        self.messages.values().cloned().collect()
    }

    /// A later state has made this one dispensable, unless the message says more.
    fn give_up(&mut self, number: u64) {
        let is_state = |message: &StatusResponse| {
            message.statuses.len() == 1 && message.vertexes.is_empty() && message.logs.is_empty()
        };
        if self.messages.get(&number).is_some_and(is_state) {
            self.messages.remove(&number);
        }
    }

    /// Leaves one note for each step in the place of what is missing, where those that come later find it.
    fn clip(&mut self, number: u64) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        let mut earlier = Vec::new();
        for log in &mut message.logs {
            let VertexLog { vertex, msg, .. } = log;
            *msg = MISSING.to_vec();
            earlier.extend(self.gaps.insert(vertex.clone(), number).filter(|gap| *gap != number));
        }
        for gap in earlier {
            self.messages.remove(&gap);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::control::{Vertex, VertexStatus};

    fn log(vertex: &str, bytes: usize) -> StatusResponse {
        let log = VertexLog { vertex: vertex.to_owned(), msg: vec![b'x'; bytes], ..VertexLog::default() };
        StatusResponse { logs: vec![log], ..StatusResponse::default() }
    }

    fn state(vertex: &str, id: &str, current: i64) -> StatusResponse {
        let (vertex, id) = (vertex.to_owned(), id.to_owned());
        let status = VertexStatus { vertex, id, current, ..VertexStatus::default() };
        StatusResponse { statuses: vec![status], ..StatusResponse::default() }
    }

    fn begin(vertex: &str) -> StatusResponse {
        let vertex = Vertex { digest: vertex.to_owned(), ..Vertex::default() };
        StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() }
    }

    fn read(kept: &Kept, mut number: u64) -> Vec<StatusResponse> {
        let mut read = Vec::new();
        while let Some((message, next)) = kept.from(number) {
            assert!(next > number);
            number = next;
            read.push(message);
        }
        read
    }

    fn output(messages: &[StatusResponse]) -> usize {
        messages.iter().flat_map(|message| &message.logs).map(|log| log.msg.len()).sum()
    }

    #[test]
    fn a_gigabyte_of_output_leaves_its_end_and_a_note() {
        let mut kept = Kept::default();
        kept.push(begin("a"));
        let piece = 32 << 10;
        for _ in 0..(1 << 30) / piece {
            kept.push(log("a", piece));
        }
        kept.push(log("b", 5));
        assert!(kept.messages.len() <= MAX_OUTPUT / piece + 3);
        let read = read(&kept, 0);
        assert_eq!(read[0].vertexes[0].digest, "a");
        assert!(output(&read) <= MAX_OUTPUT + MISSING.len() && output(&read) > MAX_OUTPUT - piece);
        let notes: Vec<_> =
            read.iter().flat_map(|message| &message.logs).filter(|log| log.msg == MISSING).collect();
        assert_eq!(notes.len(), 1, "one note for the step");
        assert_eq!(read.last().unwrap().logs.last().unwrap().vertex, "b");
    }

    #[test]
    fn who_is_behind_finds_the_note_and_who_is_not_does_not() {
        let mut kept = Kept::default();
        for _ in 0..100 {
            kept.push(log("a", 1 << 10));
        }
        let (middle, end) = (50, kept.count());
        for _ in 0..MAX_OUTPUT >> 10 {
            kept.push(log("a", 1 << 10));
        }
        let noted =
            |from| read(&kept, from).iter().flat_map(|message| &message.logs).any(|log| log.msg == MISSING);
        assert!(noted(0) && noted(middle));
        assert!(!noted(end));
    }

    #[test]
    fn only_the_latest_state_of_a_part_is_kept() {
        let mut kept = Kept::default();
        kept.push(begin("a"));
        for current in 0..10_000 {
            kept.push(state("a", "layer", current));
            kept.push(state("a", "other", current));
        }
        assert_eq!(kept.messages.len(), 3);
        let read = read(&kept, 0);
        let currents: Vec<i64> =
            read.iter().flat_map(|message| &message.statuses).map(|status| status.current).collect();
        assert_eq!(currents, [9_999, 9_999]);
    }

    #[test]
    fn what_is_given_at_once_is_limited() {
        let mut kept = Kept::default();
        for _ in 0..100 {
            kept.push(log("a", 10 << 10));
        }
        kept.push(log("a", MAX_OUTPUT / 2));
        let read = read(&kept, 0);
        assert!(read.len() > 10);
        assert!(read[..read.len() - 1].iter().all(|message| output(std::slice::from_ref(message)) <= PIECE));
        assert_eq!(output(&read), 100 * (10 << 10) + MAX_OUTPUT / 2);
    }
}
