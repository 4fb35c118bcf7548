//! What became of builds, for clients that ask later: one small record and one log each, in files of their own.
//!
//! A record gets its name when it is complete; what is damaged is as if it had not been. The newest are kept, and those
//! that a client pinned. Logs and provenances are blobs by digest, which [`content`] serves; records may share them. Whoever
//! changes anything has the directory locked, against other daemons of the same store, too. Called by the control service.

pub(crate) mod content;
pub(crate) mod filter;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use prost::Message;
use tokio::sync::broadcast;
use tonic::{Code, Status};

use self::filter::Asked;
use crate::api::control::{
    BuildHistoryEvent, BuildHistoryEventType as EventType, BuildHistoryRecord, BuildHistoryRequest,
    Descriptor, Exporter, SolveRequest, StatusResponse, UpdateBuildHistoryRequest,
};
use crate::api::google::rpc::Status as Detailed;
use crate::export::made::Results;
use crate::status::now;

/// Records that are kept beside those that are pinned.
const KEPT: usize = 50;

/// Bytes of a build's log; what its steps write after that is not kept.
const MAX_LOG: usize = 4 << 20;

/// Events that a listener may be behind with.
const BEHIND: usize = 256;

/// The type of a log: messages of progress, each after its length.
const LOG_TYPE: &str = "application/vnd.buildkit.status.v0";

/// The type of a statement's content, and where its own type stands.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The words by which clients know a build that was given up from one that failed.
const CANCELED: &str = "context canceled";

/// Ends of the names of files.
const RECORD: &str = "record";
const LOG: &str = "log";
const STATEMENT: &str = "statement";

/// The builds of one store.
#[derive(Debug)]
pub(crate) struct History {
    directory: PathBuf,
    active: Mutex<BTreeMap<String, BuildHistoryRecord>>,
    events: broadcast::Sender<BuildHistoryEvent>,
}

/// The right to change what is in the directory.
#[derive(Debug)]
struct Changing(File);

impl Drop for Changing {
    fn drop(&mut self) {
        // A step that starts at this moment may have the descriptor, too, which would keep the lock. Where there is no lock
        // to give up there is nothing to do.
        drop(self.0.unlock());
    }
}

/// How a build ended.
pub(crate) type Ended<'a> = Result<&'a std::collections::HashMap<String, String>, &'a Status>;

impl History {
    /// Kept in that directory, which is made when it is needed.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, active: Mutex::default(), events: broadcast::channel(BEHIND).0 }
    }

    /// A build begins.
    pub(crate) fn begin(&self, record: BuildHistoryRecord) {
        self.locked().insert(record.r#ref.clone(), record.clone());
        self.tell(EventType::Started, record);
    }

    /// A build has ended. Blocks.
    pub(crate) fn end(
        &self,
        build: &str,
        ended: Ended<'_>,
        messages: &[StatusResponse],
        made: &Results,
    ) -> io::Result<()> {
        let Some(mut record) = self.locked().remove(build) else { return Ok(()) };
        record.completed_at = Some(now());
        match ended {
            Ok(answer) => record.exporter_response.clone_from(answer),
            Err(status) => {
                let code = status.code().into();
                let mut message = status.message().to_owned();
                if status.code() == Code::Cancelled && !message.contains(CANCELED) {
                    message = format!("{message}: {CANCELED}");
                }
                record.error = Some(Detailed { code, message, details: Vec::new() });
            }
        }
        count(&mut record, messages);
        let _changing = self.change()?;
        record.logs = Some(self.write_log(messages)?);
        self.write_results(&mut record, made)?;
        self.write(&record)?;
        self.tell(EventType::Complete, record);
        Ok(())
    }

    /// What there is now, and what happens from now on unless that is not wanted. Blocks.
    pub(crate) fn listen(
        &self,
        request: &BuildHistoryRequest,
        asked: &Asked,
    ) -> io::Result<(Vec<BuildHistoryEvent>, Option<broadcast::Receiver<BuildHistoryEvent>>)> {
        let later = (!request.early_exit).then(|| self.events.subscribe());
        let event = |kind: EventType, record| BuildHistoryEvent { r#type: kind.into(), record: Some(record) };
        let mut events: Vec<_> =
            self.locked().values().cloned().map(|record| event(EventType::Started, record)).collect();
        if !request.active_only {
            events.extend(self.records()?.into_iter().map(|record| event(EventType::Complete, record)));
        }
        events.retain(|event| asked.takes(event));
        if let limit @ 1.. = usize::try_from(request.limit).unwrap_or_default() {
            events.truncate(limit);
        }
        Ok((events, later))
    }

    /// Pins a record, or removes it. Blocks.
    pub(crate) fn update(&self, request: &UpdateBuildHistoryRequest) -> Result<(), Status> {
        let failed = |error: io::Error| Status::internal(format!("the history of builds: {error}"));
        let missing = || Status::not_found(format!("no record of a build {}", request.r#ref));
        let _changing = self.change().map_err(failed)?;
        let mut record = self.record(&request.r#ref).map_err(failed)?.ok_or_else(missing)?;
        if request.delete {
            self.remove(&record).map_err(failed)?;
            self.tell(EventType::Deleted, record);
        } else if !request.finalize {
            record.pinned = request.pinned;
            self.write(&record).map_err(failed)?;
        }
        Ok(())
    }

    /// The progress of a build that has ended. Blocks.
    pub(crate) fn log(&self, build: &str) -> io::Result<Option<Vec<StatusResponse>>> {
        let Some(digest) = self.record(build)?.and_then(|record| record.logs).map(|logs| logs.digest) else {
            return Ok(None);
        };
        let Some(bytes) = self.blob(&digest)? else { return Ok(None) };
        let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((message, after)) = after.split_at_checked(length) else { break };
            messages.push(StatusResponse::decode(message).map_err(io::Error::other)?);
            rest = after;
        }
        Ok(Some(messages))
    }

    /// A log by its digest. Blocks.
    pub(crate) fn blob(&self, digest: &str) -> io::Result<Option<Vec<u8>>> {
        let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        let Some(hex) = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
            return Ok(None);
        };
        let file = |ending| found(std::fs::read(self.directory.join(format!("{hex}.{ending}"))));
        Ok(match file(LOG)? {
            Some(bytes) => Some(bytes),
            None => file(STATEMENT)?,
        })
    }

    /// All records, the newest first.
    fn records(&self) -> io::Result<Vec<BuildHistoryRecord>> {
        let Some(entries) = found(std::fs::read_dir(&self.directory))? else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == RECORD) {
                records.extend(read(&path)?);
            }
        }
        records.sort_by_key(|record: &BuildHistoryRecord| {
            std::cmp::Reverse(record.created_at.map(|time| (time.seconds, time.nanos)))
        });
        Ok(records)
    }

    fn record(&self, build: &str) -> io::Result<Option<BuildHistoryRecord>> {
        read(&self.path(build))
    }

    /// A client chooses the names of its builds: no file is named by them as they are.
    fn path(&self, build: &str) -> PathBuf {
        self.directory.join(format!("{}.{RECORD}", hex(build.as_bytes())))
    }

    fn write_log(&self, messages: &[StatusResponse]) -> io::Result<Descriptor> {
        let mut bytes = Vec::new();
        for message in messages {
            let is_full = bytes.len() > MAX_LOG;
            let message = if is_full && !message.logs.is_empty() {
                StatusResponse { logs: Vec::new(), ..message.clone() }
            } else {
                message.clone()
            };
            let encoded = message.encode_to_vec();
            bytes.extend_from_slice(&u32::try_from(encoded.len()).map_err(io::Error::other)?.to_le_bytes());
            bytes.extend_from_slice(&encoded);
        }
        self.write_blob(&bytes, LOG, LOG_TYPE)
    }

    fn write_blob(&self, bytes: &[u8], ending: &str, media_type: &str) -> io::Result<Descriptor> {
        let hex = hex(bytes);
        self.put(&self.directory.join(format!("{hex}.{ending}")), bytes)?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{hex}"),
            size: i64::try_from(bytes.len()).map_err(io::Error::other)?,
            ..Descriptor::default()
        })
    }

    /// What the build made: the outputs, and the provenance of each image.
    fn write_results(&self, record: &mut BuildHistoryRecord, made: &Results) -> io::Result<()> {
        for (platform, kind, bytes) in &made.provenances {
            let mut statement = self.write_blob(bytes, STATEMENT, STATEMENT_TYPE)?;
            statement.annotations.insert(PREDICATE_TYPE.to_owned(), kind.clone());
            let result = if platform.is_empty() {
                record.result.get_or_insert_default()
            } else {
                record.results.entry(platform.clone()).or_default()
            };
            result.attestations.push(statement);
        }
        for (number, descriptor) in &made.descriptors {
            let result = record.result.get_or_insert_default();
            result.result_deprecated.get_or_insert_with(|| descriptor.clone());
            result.results.insert(*number, descriptor.clone());
        }
        Ok(())
    }

    fn write(&self, record: &BuildHistoryRecord) -> io::Result<()> {
        self.put(&self.path(&record.r#ref), &record.encode_to_vec())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Waits until nobody else changes anything in the directory, which is made if it is not there.
    fn change(&self) -> io::Result<Changing> {
        std::fs::create_dir_all(&self.directory)?;
        let directory = File::open(&self.directory)?;
        directory.lock()?;
        Ok(Changing(directory))
    }

    /// Removes a record, and its blobs that no other one has.
    fn remove(&self, record: &BuildHistoryRecord) -> io::Result<()> {
        found(std::fs::remove_file(self.path(&record.r#ref)))?;
        let others: HashSet<String> = self.records()?.iter().flat_map(blobs).collect();
        for name in blobs(record).filter(|name| !others.contains(name)) {
            found(std::fs::remove_file(self.directory.join(name)))?;
        }
        Ok(())
    }

    /// Removes the oldest records. Blocks.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let _changing = self.change()?;
        let old = self.records()?.into_iter().filter(|record| !record.pinned).skip(KEPT);
        for record in old {
            self.remove(&record)?;
            self.tell(EventType::Deleted, record);
        }
        Ok(())
    }

    fn tell(&self, kind: EventType, record: BuildHistoryRecord) {
        // Nobody has to listen.
        drop(self.events.send(BuildHistoryEvent { r#type: kind.into(), record: Some(record) }));
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, BuildHistoryRecord>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a build when it begins.
pub(crate) fn record(request: &SolveRequest, exporters: Vec<Exporter>) -> BuildHistoryRecord {
    BuildHistoryRecord {
        r#ref: request.r#ref.clone(),
        frontend: request.frontend.clone(),
        frontend_attrs: request.frontend_attrs.clone(),
        exporters,
        created_at: Some(now()),
        ..BuildHistoryRecord::default()
    }
}

/// The names of the files of a record's blobs.
fn blobs(record: &BuildHistoryRecord) -> impl Iterator<Item = String> {
    let results = record.result.iter().chain(record.results.values());
    let statements = results.flat_map(|result| &result.attestations).map(|blob| (blob, STATEMENT));
    let all = record.logs.iter().map(|blob| (blob, LOG)).chain(statements);
    all.filter_map(|(blob, ending)| Some(format!("{}.{ending}", blob.digest.strip_prefix("sha256:")?)))
}

fn count(record: &mut BuildHistoryRecord, messages: &[StatusResponse]) {
    let mut steps = BTreeMap::new();
    for vertex in messages.iter().flat_map(|message| &message.vertexes) {
        steps.insert(
            vertex.digest.as_str(),
            (vertex.cached, vertex.completed.is_some() && vertex.error.is_empty()),
        );
    }
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    record.num_total_steps = number(steps.len());
    record.num_cached_steps = number(steps.values().filter(|(cached, _)| *cached).count());
    record.num_completed_steps = number(steps.values().filter(|(_, done)| *done).count());
    record.num_warnings = number(messages.iter().map(|message| message.warnings.len()).sum());
}

fn read(path: &Path) -> io::Result<Option<BuildHistoryRecord>> {
    // A damaged record is no record.
    Ok(found(std::fs::read(path))?.and_then(|bytes| BuildHistoryRecord::decode(bytes.as_slice()).ok()))
}

/// Nothing, where nothing is there.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn hex(bytes: &[u8]) -> String {
    kiln_registry::sha256(bytes).digest().to_owned()
}

#[cfg(test)]
mod tests;
