//! Why a step is built on something else than before: the lowest step, or the base image, at which the two chains part.
//!
//! Both chains are walked from the top: the new one through the graph, the old one from record to record (each notes what it
//! was built on). Where two steps have the same key everything below them is the same, so the walk ends there. What cannot
//! be found out (a record that is gone, a walk that takes too long) is [`Cause::Unknown`], never a guess.

use kiln_cache::{Key, Record, Records};
use kiln_graph::op::{LayoutImage, Op, Source};
use kiln_graph::{Graph, Vertex, VertexId};

use super::compare::{Made, note};
use super::words::shown;
use super::{Known, Why};
use crate::account::{About, Change, instruction};
use crate::error::StepError;
use crate::solve::Solve;
use crate::solve::key::ROOT;

/// How many records one explanation may read.
const MOST_RECORDS: u32 = 200;

/// How many comparisons may wait for what is below them. Steps are explained from the bottom and what was found is kept,
/// so that hardly any walk goes further than a few.
const DEEPEST: usize = 50;

/// Why two chains differ.
#[derive(Clone)]
pub(super) enum Cause {
    /// They do not.
    Same,
    /// For this reason.
    Change(Box<Change>),
    /// It cannot be told.
    Unknown,
}

/// What the record of a step says it was built on.
#[derive(Clone)]
enum Old {
    Step(Key),
    Base { reference: String, digest: Option<String> },
    Unknown,
}

/// What `vertex` was built on differs from what the step of `record` was built on: why.
pub(super) fn cause(solve: &Solve, vertex: &Vertex, record: &Record) -> Result<Cause, StepError> {
    let Some(below) = vertex.inputs.first() else { return Ok(Cause::Unknown) };
    Walk::new(&solve.graph, solve.store.records(), &solve.why).compare(*below, &old_below(record))
}

fn old_below(record: &Record) -> Old {
    let made = Made { parts: &record.parts, notes: &record.notes };
    if let Some(key) = made.note(note::BELOW).and_then(|text| text.parse().ok()) {
        return Old::Step(key);
    }
    match made.note(note::BASE) {
        Some(base) => {
            Old::Base { reference: base.to_owned(), digest: made.note(note::BASE_DIGEST).map(str::to_owned) }
        }
        None => Old::Unknown,
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    records: Records,
    why: &'a Why,
    left: u32,
    /// What is being compared. The record of a linked layer names what it was put on last, which may have been put on it
    /// before, so a walk from record to record can come back to where it was.
    open: Vec<(VertexId, Key)>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph, records: Records, why: &'a Why) -> Self {
        Self { graph, records, why, left: MOST_RECORDS, open: Vec::new() }
    }

    fn compare(&mut self, id: VertexId, old: &Old) -> Result<Cause, StepError> {
        let Some(vertex) = self.graph.get(id) else { return Ok(Cause::Unknown) };
        match (&vertex.op, old) {
            (_, Old::Unknown) => Ok(Cause::Unknown),
            (Op::Source(source), Old::Base { reference, digest }) => {
                Ok(base(source, reference, digest.as_deref()))
            }
            (Op::Source(_), Old::Step(key)) => Ok(match self.record(*key)? {
                Some(record) => gone(&record),
                None => Cause::Unknown,
            }),
            (_, Old::Base { reference, digest }) => Ok(self.base_below(vertex, reference, digest.as_deref())),
            (_, Old::Step(key)) => {
                if let Some(known) = self.why.cause_of(id, *key) {
                    return Ok(known);
                }
                if self.open.len() >= DEEPEST || self.open.contains(&(id, *key)) {
                    return Ok(Cause::Unknown);
                }
                self.open.push((id, *key));
                let cause = self.step(id, vertex, *key);
                self.open.pop();
                let cause = cause?;
                self.why.remember_cause(id, *key, &cause);
                Ok(cause)
            }
        }
    }

    /// A step where there was only a base before: the lowest step is new, or the base is another one.
    fn base_below(&self, vertex: &Vertex, reference: &str, digest: Option<&str>) -> Cause {
        let mut lowest = vertex;
        loop {
            let below = lowest.inputs.first().and_then(|below| self.graph.get(*below));
            match below {
                None => return Cause::Unknown,
                Some(Vertex { op: Op::Source(source), .. }) => {
                    return match base(source, reference, digest) {
                        Cause::Same => added(lowest),
                        other => other,
                    };
                }
                Some(step) => lowest = step,
            }
        }
    }

    fn below(&mut self, vertex: &Vertex, old: &Old) -> Result<Cause, StepError> {
        match vertex.inputs.first() {
            Some(below) => self.compare(*below, old),
            None => Ok(Cause::Unknown),
        }
    }

    /// A step against the record of one.
    fn step(&mut self, id: VertexId, vertex: &Vertex, key: Key) -> Result<Cause, StepError> {
        let Some(known) = self.why.known(id) else { return Ok(Cause::Unknown) };
        if known.key.key == key {
            return Ok(Cause::Same);
        }
        let Some(record) = self.record(key)? else { return Ok(Cause::Unknown) };
        let new_text = instruction(&vertex.display.name);
        if text(&record) == Some(new_text) {
            return self.same_words(vertex, known, &record);
        }
        if let Cause::Same = self.below(vertex, &Old::Step(key))? {
            return Ok(added(vertex));
        }
        let old = old_below(&record);
        if let Cause::Same = self.compare(id, &old)? {
            return Ok(gone(&record));
        }
        match (self.below(vertex, &old)?, text(&record)) {
            (Cause::Same, Some(old_text)) => {
                let text = format!("before it, {} became {}", shown(old_text), shown(new_text));
                Ok(change(new_text, Some(old_text), Some(new_text), text))
            }
            (Cause::Same, None) => Ok(Cause::Unknown),
            (other, _) => Ok(other),
        }
    }

    /// The same instruction then and now: what was below it differs, or its own result does.
    fn same_words(&mut self, vertex: &Vertex, known: &Known, record: &Record) -> Result<Cause, StepError> {
        let made = Made { parts: &record.parts, notes: &record.notes };
        let root = known.key.parts.iter().find(|part| part.name == ROOT).map(|part| part.value.as_str());
        // The key of a linked layer says nothing of what it is put on.
        let linked = matches!(&vertex.op, Op::File(op) if op.link);
        let below = if !linked && root.is_some() && root == made.part(ROOT) {
            Cause::Same
        } else {
            self.below(vertex, &old_below(record))?
        };
        match below {
            Cause::Same if record.layer.as_ref() == Some(&known.layer) => Ok(Cause::Same),
            Cause::Same => {
                let name = &vertex.display.name;
                let text = if known.executed {
                    format!("built on {}, which was executed again and gave another result", shown(name))
                } else {
                    format!("built on {}, which has another result than then", shown(name))
                };
                let layer = |id: &kiln_cache::DiffId| id.to_string();
                Ok(change(
                    name,
                    record.layer.as_ref().map(layer).as_deref(),
                    Some(&layer(&known.layer)),
                    text,
                ))
            }
            other => Ok(other),
        }
    }

    fn record(&mut self, key: Key) -> Result<Option<Record>, StepError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(self.records.get(&key).map_err(kiln_cache::StoreError::from)?)
    }
}

fn text(record: &Record) -> Option<&str> {
    record.notes.iter().find(|part| part.name == note::INSTRUCTION).map(|part| part.value.as_str())
}

fn base(source: &Source, old: &str, old_digest: Option<&str>) -> Cause {
    let Some((name, digest)) = named(source) else { return Cause::Unknown };
    if name == SCRATCH && old == SCRATCH {
        return Cause::Same;
    }
    let text = match (old_digest, digest.as_deref()) {
        (Some(before), Some(after)) if before == after => return Cause::Same,
        (Some(before), Some(after)) if old == name => {
            format!("base image {name} changed (digest {} -> {})", short(before), short(after))
        }
        _ if old == name => return Cause::Unknown,
        _ => format!("base image {} -> {}", shown(old), shown(&name)),
    };
    change(&name, Some(old_digest.unwrap_or(old)), Some(digest.as_deref().unwrap_or(&name)), text)
}

/// What a base is called, and the digest of its manifest, where it is one that can be named.
pub(super) fn named(source: &Source) -> Option<(String, Option<String>)> {
    match source {
        Source::Scratch => Some((SCRATCH.to_owned(), None)),
        Source::Image { reference, digest, .. } => Some((reference.clone(), digest.clone())),
        Source::Layout { image, .. } => {
            let name = LayoutImage { digest: None, ..image.clone() }.to_string();
            Some((name, image.digest.clone()))
        }
        Source::Context { .. } | Source::Http(_) | Source::Git(_) => None,
    }
}

/// What a base without files is called.
const SCRATCH: &str = "scratch";

/// The first digits of a digest.
fn short(digest: &str) -> String {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    format!("{}…", digits.chars().take(12).collect::<String>())
}

fn added(vertex: &Vertex) -> Cause {
    let text = instruction(&vertex.display.name);
    change(text, None, Some(text), format!("{} before it is new", shown(text)))
}

fn gone(record: &Record) -> Cause {
    let Some(text) = text(record) else { return Cause::Unknown };
    change(text, Some(text), None, format!("{} before it is gone", shown(text)))
}

fn change(subject: &str, before: Option<&str>, after: Option<&str>, text: String) -> Cause {
    let (before, after) = (before.map(str::to_owned), after.map(str::to_owned));
    Cause::Change(Box::new(Change { about: About::Base, subject: subject.to_owned(), before, after, text }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_cache::{KeyBuilder, Part, Store};
    use kiln_graph::graph::Display;

    use super::*;
    use crate::solve::key::StepKey;

    fn key(name: &str) -> Key {
        KeyBuilder::new(name).finish().0
    }

    /// A record of that name and instruction, built on another one.
    fn record(name: &str, below: &str) -> Record {
        let note = |name: &str, value: String| Part { name: name.to_owned(), value };
        Record {
            key: key(name),
            slot: key("slot"),
            parts: Vec::new(),
            notes: vec![note(note::INSTRUCTION, name.to_owned()), note(note::BELOW, key(below).to_string())],
            layer: None,
            origin: None,
            created: jiff::Timestamp::UNIX_EPOCH,
            milliseconds: 0,
        }
    }

    #[test]
    fn records_that_lie_on_one_another_are_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for (name, below) in [("COPY a", "COPY b"), ("COPY b", "COPY a")] {
            store.records().put(&record(name, below)).unwrap();
        }
        let mut graph = Graph::new();
        let display = Display { name: "[1/1] COPY c".to_owned(), ..Display::default() };
        let scratch = Op::Source(Source::Scratch);
        let scratch =
            Vertex { op: scratch, inputs: Vec::new(), no_cache: false, display: Display::default() };
        let below = graph.add(scratch).unwrap();
        let linked = Vertex { op: Op::Merge, inputs: vec![below], no_cache: false, display };
        let linked = graph.add(linked).unwrap();
        let why = Why::new(2);
        let key_of = |name| StepKey { key: key(name), parts: Vec::new(), slot: key("slot") };
        let layer = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        drop(why.known[linked.index()].set(Known { key: key_of("COPY c"), layer, executed: true }));
        let mut walk = Walk::new(&graph, store.records(), &why);
        walk.compare(linked, &Old::Step(key("COPY a"))).unwrap();
        assert!(MOST_RECORDS - walk.left < 10, "{} are left", walk.left);
        assert!(walk.open.is_empty());
    }
}
