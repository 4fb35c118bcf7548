//! Records that are written, found again, pinned, forgotten and damaged.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use super::*;
use crate::api::control::{Vertex, VertexLog};

fn begun(build: &str) -> BuildHistoryRecord {
    let request = SolveRequest { r#ref: build.to_owned(), ..SolveRequest::default() };
    record(&request, Vec::new())
}

fn messages() -> Vec<StatusResponse> {
    let done = Vertex {
        digest: "sha256:1".to_owned(),
        cached: true,
        completed: Some(prost_types::Timestamp::default()),
        ..Vertex::default()
    };
    let log = VertexLog { vertex: "sha256:1".to_owned(), msg: b"said\n".to_vec(), ..VertexLog::default() };
    vec![
        StatusResponse { vertexes: vec![done], ..StatusResponse::default() },
        StatusResponse { logs: vec![log], ..StatusResponse::default() },
    ]
}

fn all(history: &History) -> Vec<(EventType, BuildHistoryRecord)> {
    let request = BuildHistoryRequest { early_exit: true, ..BuildHistoryRequest::default() };
    let (events, later) = history.listen(&request, &Asked::default()).unwrap();
    assert!(later.is_none());
    events.into_iter().map(|event| (event.r#type(), event.record.unwrap())).collect()
}

#[test]
fn a_build_is_there_while_it_runs_and_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().join("history"));
    assert_eq!(all(&history), []);
    let (_, later) = history.listen(&BuildHistoryRequest::default(), &Asked::default()).unwrap();
    history.begin(begun("../one"));
    assert_eq!(all(&history)[0].0, EventType::Started);
    history
        .end(
            "../one",
            Ok(&HashMap::from([("k".to_owned(), "v".to_owned())])),
            &messages(),
            &Results::default(),
        )
        .unwrap();

    let again = History::new(directory.path().join("history"));
    let (kind, record) = all(&again).remove(0);
    assert_eq!((kind, record.r#ref.as_str()), (EventType::Complete, "../one"));
    assert_eq!((record.num_total_steps, record.num_cached_steps, record.num_completed_steps), (1, 1, 1));
    assert_eq!(record.exporter_response["k"], "v");
    assert_eq!(again.log("../one").unwrap().unwrap(), messages());
    let logs = record.logs.unwrap();
    assert_eq!(again.blob(&logs.digest).unwrap().unwrap().len(), usize::try_from(logs.size).unwrap());
    assert!(again.log("two").unwrap().is_none());
    for nothing in ["", "sha256:../../x", "sha256:00"] {
        assert!(again.blob(nothing).unwrap().is_none());
    }
    let mut later = later.unwrap();
    let kinds: Vec<_> = std::iter::from_fn(|| later.try_recv().ok()).map(|event| event.r#type()).collect();
    assert_eq!(kinds, [EventType::Started, EventType::Complete]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no name leads outside");
}

#[test]
fn old_records_go_unless_they_are_pinned() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    let failed = Status::unknown("why");
    for number in 0..=KEPT {
        let name = format!("b{number}");
        history.begin(begun(&name));
        history.end(&name, Err(&failed), &[], &Results::default()).unwrap();
        if number == 0 {
            let pin = UpdateBuildHistoryRequest { r#ref: name, pinned: true, ..Default::default() };
            history.update(&pin).unwrap();
        }
    }
    let kept = all(&history);
    assert_eq!(kept.len(), KEPT + 1);
    assert_eq!(kept[0].1.error.as_ref().unwrap().message, "why");
    history.begin(begun("last"));
    history.end("last", Err(&failed), &[], &Results::default()).unwrap();
    history.forget().unwrap();
    let names: Vec<_> = all(&history).into_iter().map(|(_, record)| record.r#ref).collect();
    assert!(names.contains(&"b0".to_owned()) && !names.contains(&"b1".to_owned()), "{names:?}");
    let delete = UpdateBuildHistoryRequest { r#ref: "b0".to_owned(), delete: true, ..Default::default() };
    history.update(&delete).unwrap();
    assert_eq!(history.update(&delete).unwrap_err().code(), tonic::Code::NotFound);
}

#[test]
fn a_damaged_record_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    history.begin(begun("one"));
    history.end("one", Err(&Status::unknown("why")), &messages(), &Results::default()).unwrap();
    std::fs::write(history.path("one"), [0xff; 9]).unwrap();
    assert_eq!(all(&history), []);
    assert!(history.log("one").unwrap().is_none());
}

#[test]
fn what_a_build_made_is_kept_with_its_record() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    let statement = |platform: &str, text: &str| {
        (platform.to_owned(), "https://slsa.dev/provenance/v1".to_owned(), text.as_bytes().to_vec())
    };
    let output = Descriptor { digest: "sha256:2".to_owned(), ..Descriptor::default() };
    let made = Results {
        provenances: vec![statement("", "{}"), statement("linux/amd64", "{\"a\":1}")],
        descriptors: vec![(0, output.clone()), (1, Descriptor::default())],
    };
    history.begin(begun("one"));
    history.end("one", Ok(&HashMap::new()), &messages(), &made).unwrap();
    let record = all(&history).remove(0).1;
    let result = record.result.as_ref().unwrap();
    assert_eq!((result.results.len(), result.result_deprecated.as_ref()), (2, Some(&output)));
    let own = &record.results["linux/amd64"].attestations[0];
    assert_eq!(own.annotations[PREDICATE_TYPE], "https://slsa.dev/provenance/v1");
    assert_eq!(history.blob(&own.digest).unwrap().unwrap(), b"{\"a\":1}");
    assert_eq!(history.blob(&result.attestations[0].digest).unwrap().unwrap(), b"{}");
    let delete = UpdateBuildHistoryRequest { r#ref: "one".to_owned(), delete: true, ..Default::default() };
    history.update(&delete).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing of it is left");
}

#[test]
fn a_build_that_was_given_up_is_recognised() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().join("history"));
    for (build, status) in [("a", Status::cancelled("the client has gone")), ("b", Status::unknown("no"))] {
        history.begin(begun(build));
        history.end(build, Err(&status), &messages(), &Results::default()).unwrap();
    }
    let filter = vec!["status==canceled".to_owned()];
    let request = BuildHistoryRequest { filter, early_exit: true, ..BuildHistoryRequest::default() };
    let asked = Asked::read(&request, jiff::Timestamp::now()).unwrap();
    let (events, _) = history.listen(&request, &asked).unwrap();
    let records: Vec<_> = events.into_iter().map(|event| event.record.unwrap()).collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].error.as_ref().unwrap().message, "the client has gone: context canceled");
}

#[test]
fn what_records_have_in_common_stays_for_as_long_as_one_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    let kind = "https://slsa.dev/provenance/v1".to_owned();
    let made = Results { provenances: vec![(String::new(), kind, b"{}".to_vec())], ..Results::default() };
    for name in ["one", "two"] {
        history.begin(begun(name));
        history.end(name, Ok(&HashMap::new()), &[], &made).unwrap();
    }
    let delete = |name: &str| {
        let request =
            UpdateBuildHistoryRequest { r#ref: name.to_owned(), delete: true, ..Default::default() };
        history.update(&request).unwrap();
    };
    delete("one");
    assert!(history.log("one").unwrap().is_none());
    assert_eq!(history.log("two").unwrap(), Some(Vec::new()));
    let statement = all(&history)[0].1.result.as_ref().unwrap().attestations[0].digest.clone();
    assert_eq!(history.blob(&statement).unwrap().unwrap(), b"{}");
    delete("two");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing of them is left");
}

/// Records of the builds `b0` and so on, of which one is not to be kept.
fn one_too_many(history: &History) {
    for number in 0..=KEPT {
        let name = format!("b{number}");
        history.begin(begun(&name));
        history.end(&name, Ok(&HashMap::new()), &[], &Results::default()).unwrap();
    }
}

#[test]
fn what_is_forgotten_takes_no_log_from_what_stays() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    one_too_many(&history);
    history.forget().unwrap();
    assert!(history.log("b0").unwrap().is_none());
    for number in 1..=KEPT {
        assert_eq!(history.log(&format!("b{number}")).unwrap(), Some(Vec::new()), "{number}");
    }
}

#[test]
fn what_is_pinned_in_the_meantime_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(directory.path().to_owned());
    one_too_many(&history);
    let other = History::new(directory.path().to_owned());
    let changing = other.change().unwrap();
    std::thread::scope(|scope| {
        let (begin, begun) = std::sync::mpsc::channel();
        let history = &history;
        let forgetting = scope.spawn(move || {
            begin.send(()).unwrap();
            history.forget()
        });
        begun.recv().unwrap();
        let record = other.record("b0").unwrap().unwrap();
        other.write(&BuildHistoryRecord { pinned: true, ..record }).unwrap();
        drop(changing);
        forgetting.join().unwrap().unwrap();
    });
    assert!(history.record("b0").unwrap().unwrap().pinned);
    assert!(File::open(directory.path()).unwrap().try_lock().is_ok(), "nobody changes anything any more");
}
