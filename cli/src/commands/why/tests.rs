//! Tests of choosing and showing steps, on accounts made by hand.

#![allow(clippy::unwrap_used)]

use kiln_builder::account::{About, BuildAccount, Change, Previous, StepAccount, StepOutcome};
use kiln_cache::Key;

use super::super::{ComparedPart, select};
use super::*;

fn account() -> BuildAccount {
    let step = |name: &str, stage: &str, outcome| StepAccount {
        name: name.to_owned(),
        stage: stage.to_owned(),
        outcome,
        milliseconds: Some(1234),
        created: Some("2026-11-22T12:50:00Z".parse().unwrap()),
        layer: Some(kiln_cache::DiffId::from_hash([1; 32])),
        size: Some(2_000_000),
        reason: None,
        key: Some(Key([1; 32])),
        changes: Vec::new(),
        more_changes: 0,
        previous: None,
        last: None,
    };
    let change = Change {
        about: About::File,
        subject: "src/a".into(),
        before: Some("file 0644 11".into()),
        after: Some("file 0644 12".into()),
        text: "src/a changed".into(),
    };
    let made = StepAccount {
        reason: Some("src/a changed".into()),
        changes: vec![change],
        previous: Some(Previous {
            key: Key([2; 32]),
            created: "2026-11-21T10:00:00Z".parse().unwrap(),
            milliseconds: 65_000,
        }),
        ..step("[build 2/3] COPY src /src", "build", StepOutcome::Executed)
    };
    BuildAccount {
        project: "/src/Dockerfile".into(),
        platform: "linux/amd64".into(),
        began: "2026-11-22T13:00:00Z".parse().unwrap(),
        milliseconds: 1500,
        succeeded: true,
        steps: vec![
            made,
            step("[build 3/3] RUN make", "build", StepOutcome::Executed),
            step("[stage-1 2/2] COPY --from=build /p /p", "stage-1", StepOutcome::Cached),
            step("[internal] load all files to mount", "", StepOutcome::Cached),
        ],
        elsewhere: Vec::new(),
    }
}

#[test]
fn all_steps_are_a_table() {
    assert_eq!(
        build(&account()),
        "Last build of /src/Dockerfile, 2026-11-22 13:00:00 UTC, in 1.5s: 2 executed, 1 cached, which saved 1.2s\n\n\
         STEP                                    RESULT     TIME      LAYER     WHY\n\
         [build 2/3] COPY src /src               executed   1.2s      2MB       src/a changed\n\
         [build 3/3] RUN make                    executed   1.2s      2MB       -\n\
         [stage-1 2/2] COPY --from=build /p /p   cached     (1.2s)    2MB       -\n"
    );
}

#[test]
fn a_step_is_told_in_full() {
    let account = account();
    let part = |name: &str, before: Option<&str>, after: Option<&str>| ComparedPart {
        name: name.into(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let parts = [part("files", Some("11"), Some("12")), part("destination", Some("/src"), Some("/src"))];
    let text = step(&account.steps[0], Some(&parts));
    let layer = account.steps[0].layer.as_ref().unwrap();
    assert_eq!(
        text,
        format!(
            "[build 2/3] COPY src /src\n\nIt was executed, in 1.2s.\nIts layer is {layer}, 2MB.\n\
             It was not cached: src/a changed.\n\
             It is compared with the result of 2026-11-21 10:00:00 UTC, which took 1m05s.\n\n\
             Files that changed:\n  src/a changed   file 0644 11 -> file 0644 12\n\n\
             Everything that counts (* changed):\n  * files         11 -> 12\n    destination   /src\n"
        )
    );
    let gone = step(&account.steps[2], None);
    assert!(gone.contains("It was cached: the result was made 2026-11-22 12:50:00 UTC, in 1.2s."), "{gone}");
    assert!(gone.contains("no longer in the store"), "{gone}");
}

#[test]
fn steps_are_found_by_number_stage_and_words() {
    let account = account();
    let name = |wanted: &str| select::step(&account, wanted).map(|step| step.name.as_str());
    assert_eq!(name("3").unwrap(), "[build 3/3] RUN make");
    assert_eq!(name("build:2").unwrap(), "[build 2/3] COPY src /src");
    assert_eq!(name("stage-1:2").unwrap(), "[stage-1 2/2] COPY --from=build /p /p");
    assert_eq!(name("run make").unwrap(), "[build 3/3] RUN make");
    let several = name("2").unwrap_err().to_string();
    assert!(several.contains("fits 2 steps"), "{several}");
    assert!(name("nothing like it").unwrap_err().to_string().contains("no step"));
}
