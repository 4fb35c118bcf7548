//! The parts of keys for what only graphs of clients hold: transfers, single changes of files, unusual rules of commands,
//! differences. Pure.

use kiln_cache::{Key, KeyBuilder};
use kiln_graph::op::{ExecRules, FileAction, RootChanges, Transfer, Wildcards};

use super::{StepKey, fields, finish, hex, mode_text, owner_text};

/// What a file action counts as that is neither a COPY nor a directory of one.
pub(super) fn parts(builder: KeyBuilder, action: &FileAction, selection: Option<[u8; 32]>) -> KeyBuilder {
    match action {
        FileAction::Copy(_) | FileAction::Mkdir { .. } => builder,
        FileAction::Transfer(action) => transfer(builder, action, selection),
        FileAction::MakeFile(action) => builder
            .part("new file", &action.path)
            .part("content", &action.data)
            .part("mode", format!("{:o}", action.mode))
            .part("owner", owner_text(action.owner.as_ref()))
            .part("time", time_text(action.time)),
        FileAction::MakeDirectory(action) => builder
            .part("new directory", &action.path)
            .part("with parents", yes(action.parents))
            .part("mode", format!("{:o}", action.mode))
            .part("owner", owner_text(action.owner.as_ref()))
            .part("time", time_text(action.time)),
        FileAction::MakeLink(action) => builder
            .part("new link", &action.path)
            .part("link target", &action.target)
            .part("owner", owner_text(action.owner.as_ref()))
            .part("time", time_text(action.time)),
        FileAction::Remove(action) => builder
            .part("removed", &action.path)
            .part("may be missing", yes(action.allow_missing))
            .part("wildcards", yes(action.wildcards)),
    }
}

/// Where the files lay does not count; their names are part of the selection's digest.
fn transfer(builder: KeyBuilder, action: &Transfer, selection: Option<[u8; 32]>) -> KeyBuilder {
    builder
        .part("transferred files", selection.map_or_else(String::new, hex))
        .part("destination", &action.destination)
        .part("owner", owner_text(action.owner.as_ref()))
        .part("mode", action.mode.as_ref().map_or_else(String::new, mode_text))
        .part("time", time_text(action.time))
        .part("contents only", yes(action.contents))
        .part("makes parents", yes(action.make_parents))
        .part("replaces", yes(action.replace))
        .part("part of a directory", yes(!action.include.is_empty()))
}

/// What a transfer's selection from the root with identity `root` is remembered under.
pub(crate) fn transfer_memo(action: &Transfer, root: &str) -> Key {
    let wildcards = match action.wildcards {
        Wildcards::None => "none",
        Wildcards::Some => "some",
        Wildcards::Any => "any",
    };
    KeyBuilder::new("transfer")
        .part("source", &action.source)
        .part("wildcards", wildcards)
        .part("follow", yes(action.follow))
        .part("contents only", yes(action.contents))
        .part("include", fields(action.include.iter()))
        .part("exclude", fields(action.exclude.iter()))
        .part(super::ROOT, root)
        .finish()
        .0
}

/// What the names of parts begin with that stand for limits.
const LIMIT: &str = "ulimit ";

/// Nothing for an ordinary command. The addresses of hosts do not count.
pub(super) fn rules(mut builder: KeyBuilder, rules: &ExecRules) -> KeyBuilder {
    match rules.root {
        RootChanges::Kept => {}
        RootChanges::Forgotten => builder = builder.part("changes of the root", "forgotten"),
        RootChanges::Refused => builder = builder.part("changes of the root", "refused"),
    }
    if !rules.exit_codes.is_empty() {
        let codes: Vec<String> = rules.exit_codes.iter().map(ToString::to_string).collect();
        builder = builder.part("exit codes", fields(codes.iter()));
    }
    for (_, name) in &rules.hosts {
        builder = builder.part("extra host", name);
    }
    for limit in &rules.limits {
        builder = builder.part(format!("{LIMIT}{}", limit.name), limit.values());
    }
    builder
}

/// The key of what leads from one root to another.
pub(crate) fn difference(lower: &str, upper: &str, slot: Key) -> StepKey {
    finish(KeyBuilder::new("difference").part("lower", lower).part("upper", upper), slot)
}

/// The key of what a command, whose own key this is and whose layer that, left in one of its mounts, which began as the root
/// with identity `root`.
pub(crate) fn output(command: &Key, layer: &str, mount: usize, root: &str, slot: Key) -> StepKey {
    let builder = KeyBuilder::new("output")
        .part("command", command.to_string())
        .part("layer", layer)
        .part("mount", mount.to_string())
        .part(super::ROOT, root);
    finish(builder, slot)
}

fn time_text(time: Option<i64>) -> String {
    time.map_or_else(String::new, |time| time.to_string())
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kiln_graph::op::{FileOp, MakeDirectory, MakeFile, MakeLink, ModeChange, Owner, Remove, Ulimit};

    use super::*;
    use crate::solve::key::{file, slot};

    fn key(action: FileAction, selection: Option<[u8; 32]>) -> Key {
        let op = FileOp { actions: vec![action], link: false };
        file(&op, &[selection], "root", slot("p", "s", "linux/amd64", "")).key
    }

    fn copy() -> Transfer {
        Transfer {
            input: 1,
            source: "/a".into(),
            destination: "/b".into(),
            owner: None,
            mode: None,
            time: None,
            wildcards: Wildcards::None,
            follow: false,
            contents: false,
            make_parents: false,
            replace: false,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    #[test]
    fn a_transfer_counts_by_what_it_takes_and_how_it_lands() {
        let with = |change: fn(&mut Transfer)| {
            let mut changed = copy();
            change(&mut changed);
            key(FileAction::Transfer(changed), Some([1; 32]))
        };
        let base = with(|_| {});
        assert_eq!(base, with(|copy| copy.source = "/moved/a".into()), "not where it was");
        assert_eq!(base, with(|copy| copy.exclude.push("x".into())), "not what is left out");
        assert_ne!(base, key(FileAction::Transfer(copy()), Some([2; 32])));
        let changes: [fn(&mut Transfer); 8] = [
            |copy| copy.destination = "/b/".into(),
            |copy| copy.owner = Some(Owner { user: "1".into(), group: None }),
            |copy| copy.mode = Some(ModeChange::Set(0o644)),
            |copy| copy.time = Some(0),
            |copy| copy.contents = true,
            |copy| copy.make_parents = true,
            |copy| copy.replace = true,
            |copy| copy.include.push("x".into()),
        ];
        let keys: BTreeSet<Key> = changes.into_iter().map(with).chain([base]).collect();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn what_a_transfer_takes_is_remembered_by_all_that_chooses_it() {
        let with = |change: fn(&mut Transfer)| {
            let mut changed = copy();
            change(&mut changed);
            transfer_memo(&changed, "root")
        };
        let changes: [fn(&mut Transfer); 8] = [
            |_| {},
            |copy| copy.source = "/c".into(),
            |copy| copy.wildcards = Wildcards::Some,
            |copy| copy.wildcards = Wildcards::Any,
            |copy| copy.follow = true,
            |copy| copy.contents = true,
            |copy| copy.include.push("x".into()),
            |copy| copy.exclude.push("x".into()),
        ];
        let keys: BTreeSet<Key> =
            changes.into_iter().map(with).chain([transfer_memo(&copy(), "other")]).collect();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn single_changes_count_with_all_that_they_say() {
        let owner = Some(Owner { user: "u".into(), group: None });
        let made = |path: &str, mode, data: &[u8], owner: &Option<Owner>, time| {
            let (path, data, owner) = (path.into(), data.to_vec(), owner.clone());
            FileAction::MakeFile(MakeFile { path, mode, data, owner, time })
        };
        let directory = |path: &str, mode, owner: &Option<Owner>, time, parents| {
            let (path, owner) = (path.into(), owner.clone());
            FileAction::MakeDirectory(MakeDirectory { path, mode, owner, time, parents })
        };
        let link = |path: &str, target: &str, owner: &Option<Owner>, time| {
            let (path, target, owner) = (path.into(), target.into(), owner.clone());
            FileAction::MakeLink(MakeLink { path, target, owner, time })
        };
        let gone = |path: &str, allow_missing, wildcards| {
            FileAction::Remove(Remove { path: path.into(), allow_missing, wildcards })
        };
        let actions = [
            made("/a", 0o644, b"", &None, None),
            made("/b", 0o644, b"", &None, None),
            made("/a", 0o600, b"", &None, None),
            made("/a", 0o644, b"x", &None, None),
            made("/a", 0o644, b"", &owner, None),
            made("/a", 0o644, b"", &None, Some(0)),
            directory("/a", 0o644, &None, None, false),
            directory("/b", 0o644, &None, None, false),
            directory("/a", 0o755, &None, None, false),
            directory("/a", 0o644, &owner, None, false),
            directory("/a", 0o644, &None, Some(0), false),
            directory("/a", 0o644, &None, None, true),
            link("/a", "b", &None, None),
            link("/b", "b", &None, None),
            link("/a", "c", &None, None),
            link("/a", "b", &owner, None),
            link("/a", "b", &None, Some(0)),
            gone("/a", false, false),
            gone("/b", false, false),
            gone("/a", true, false),
            gone("/a", false, true),
        ];
        let count = actions.len();
        let keys: BTreeSet<Key> = actions.into_iter().map(|action| key(action, None)).collect();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn rules_of_a_command_count_but_for_addresses() {
        let finished = |given: &ExecRules| rules(KeyBuilder::new("exec"), given).finish().0;
        let host = |address: &str, name: &str| ExecRules {
            hosts: vec![(address.into(), name.into())],
            ..ExecRules::default()
        };
        assert_eq!(finished(&host("10.0.0.1", "h")), finished(&host("10.0.0.2", "h")));
        let limited = |limits: &[&str]| ExecRules {
            limits: Ulimit::in_order(limits.iter().filter_map(|limit| limit.parse().ok())),
            ..ExecRules::default()
        };
        assert_eq!(finished(&limited(&[])), finished(&ExecRules::default()));
        assert_eq!(
            finished(&limited(&["nproc=2", "nofile=1:2"])),
            finished(&limited(&["nofile=1:2", "nproc=2:2"]))
        );
        let all = [
            ExecRules::default(),
            host("10.0.0.1", "h"),
            host("10.0.0.1", "i"),
            ExecRules { root: RootChanges::Forgotten, ..ExecRules::default() },
            ExecRules { root: RootChanges::Refused, ..ExecRules::default() },
            ExecRules { exit_codes: vec![1], ..ExecRules::default() },
            ExecRules { exit_codes: vec![0, 1], ..ExecRules::default() },
            limited(&["nofile=1:2"]),
            limited(&["nofile=1:3"]),
            limited(&["nofile=2"]),
            limited(&["nofile=2:-1"]),
            limited(&["nproc=2"]),
            limited(&["nofile=1:2", "nproc=2"]),
        ];
        let keys: BTreeSet<Key> = all.iter().map(finished).collect();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn differences_and_outputs_count_by_what_they_are_of() {
        let slot = slot("p", "s", "linux/amd64", "");
        let one = difference("a", "b", slot).key;
        assert_eq!(one, difference("a", "b", slot).key);
        let command = |number: u8| Key([number; 32]);
        let keys = BTreeSet::from([
            one,
            difference("b", "a", slot).key,
            difference("ab", "", slot).key,
            output(&command(1), "layer", 1, "root", slot).key,
            output(&command(2), "layer", 1, "root", slot).key,
            output(&command(1), "other", 1, "root", slot).key,
            output(&command(1), "layer", 2, "root", slot).key,
            output(&command(1), "layer", 1, "other", slot).key,
        ]);
        assert_eq!(keys.len(), 8);
    }
}
