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
