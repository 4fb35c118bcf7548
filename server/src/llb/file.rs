//! File operations: their actions are a small graph of their own, of which each result becomes one vertex.
//!
//! Actions that change the result of the one before are one vertex with it, and so one layer, unless an owner is looked up by
//! name in what an action made.

use std::collections::BTreeMap;

use kiln_graph::VertexId;
use kiln_graph::from_root;
use kiln_graph::op::{
    CopyAction, CopySource, FileAction, FileOp, MakeDirectory, MakeFile, MakeLink, ModeChange, Op, Owner,
    Remove, Source, Transfer, Wildcards,
};
use kiln_graph::pattern;

use super::LlbError;
use super::lower::{About, EMPTY, Lowering};
use crate::api::pb;
use crate::api::pb::file_action::Action;
use crate::api::pb::user_opt::User;

/// Lowers a file operation; returns its outputs.
pub(super) fn lower(
    lowering: &mut Lowering,
    about: &About<'_>,
    op: &pb::FileOp,
    inputs: &[VertexId],
) -> Result<Vec<(i64, VertexId)>, LlbError> {
    if op.actions.is_empty() {
        return Err(about.wrong("actions", "there are none"));
    }
    let mut actions = Actions { about, inputs, needed: needed(about, op, inputs.len())?, states: Vec::new() };
    let mut outputs = BTreeMap::new();
    for (number, action) in op.actions.iter().enumerate() {
        let state = actions.state(lowering, number, action)?;
        actions.states.push(state);
        if action.output != EMPTY {
            outputs.insert(action.output, actions.settled(lowering, number)?);
        }
    }
    if outputs.is_empty() {
        return Err(about.wrong("actions", "none is an output"));
    }
    Ok(outputs.into_iter().collect())
}

/// Which actions' results are taken otherwise than by one action that goes on with them.
fn needed(about: &About<'_>, op: &pb::FileOp, inputs: usize) -> Result<Vec<bool>, LlbError> {
    let mut users = vec![0_usize; op.actions.len()];
    let mut needed = vec![false; op.actions.len()];
    for (number, action) in op.actions.iter().enumerate() {
        for (input, goes_on) in [(action.input, true), (action.secondary_input, false)] {
            let Some(earlier) = usize::try_from(input).ok().and_then(|input| input.checked_sub(inputs))
            else {
                continue;
            };
            if earlier >= number {
                let detail = format!("action {number} takes input {input}, which is not made before it");
                return Err(about.wrong("actions", detail));
            }
            users[earlier] += 1;
            needed[earlier] |= !goes_on;
        }
    }
    Ok(needed.into_iter().zip(users).map(|(needed, users)| needed || users > 1).collect())
}

/// What an action leaves: changes that are not a vertex yet, on top of one.
#[derive(Clone)]
struct State {
    base: VertexId,
    /// The vertices that changes read from, the base first.
    inputs: Vec<VertexId>,
    changes: Vec<FileAction>,
}

impl State {
    fn on(base: VertexId) -> Self {
        Self { base, inputs: vec![base], changes: Vec::new() }
    }

    /// The number of an input that files are read from.
    fn input(&mut self, vertex: VertexId) -> usize {
        let known = self.inputs.iter().skip(1).position(|known| *known == vertex);
        known.map_or_else(
            || {
                self.inputs.push(vertex);
                self.inputs.len() - 1
            },
            |index| index + 1,
        )
    }
}

struct Actions<'a> {
    about: &'a About<'a>,
    inputs: &'a [VertexId],
    needed: Vec<bool>,
    states: Vec<State>,
}

impl Actions<'_> {
    /// What the action of that number leaves.
    fn state(
        &mut self,
        lowering: &mut Lowering,
        number: usize,
        action: &pb::FileAction,
    ) -> Result<State, LlbError> {
        let kind = action.action.as_ref();
        let kind = kind.ok_or_else(|| self.about.wrong("actions", format!("action {number} has no kind")))?;
        let mut state = match self.earlier(action.input) {
            Some(earlier) if self.needed[earlier] || names_owner(kind) => {
                State::on(self.settled(lowering, earlier)?)
            }
            Some(earlier) => self.states[earlier].clone(),
            None => State::on(self.input(lowering, action.input)?),
        };
        self.check_owner(action, kind)?;
        let change = match kind {
            Action::Copy(copy) => {
                let from = match self.earlier(action.secondary_input) {
                    Some(earlier) => self.settled(lowering, earlier)?,
                    None => {
                        lowering.input(self.about, "secondaryInput", action.secondary_input, self.inputs)?
                    }
                };
                let is_file = matches!(
                    lowering.graph.get(from).map(|vertex| &vertex.op),
                    Some(Op::Source(Source::Http(_)))
                );
                let from = state.input(from);
                self.copy(copy, from, is_file)?
            }
            Action::Mkfile(file) => FileAction::MakeFile(MakeFile {
                path: from_root(&file.path),
                mode: mode(file.mode) & 0o777,
                data: file.data.clone(),
                owner: owner(file.owner.as_ref()),
                time: time(file.timestamp),
            }),
            Action::Mkdir(directory) => FileAction::MakeDirectory(MakeDirectory {
                path: from_root(&directory.path),
                mode: mode(directory.mode) & 0o777,
                owner: owner(directory.owner.as_ref()),
                time: time(directory.timestamp),
                parents: directory.make_parents,
            }),
            Action::Rm(remove) => FileAction::Remove(Remove {
                path: self.removed(&remove.path)?,
                allow_missing: remove.allow_not_found,
                wildcards: remove.allow_wildcard,
            }),
            Action::Symlink(link) => FileAction::MakeLink(MakeLink {
                path: from_root(&link.newpath),
                target: link.oldpath.clone(),
                owner: owner(link.owner.as_ref()),
                time: time(link.timestamp),
            }),
        };
        state.changes.push(change);
        Ok(state)
    }

    /// The vertex of an action's result.
    fn settled(&mut self, lowering: &mut Lowering, number: usize) -> Result<VertexId, LlbError> {
        let state = &self.states[number];
        if state.changes.is_empty() {
            return Ok(state.base);
        }
        let (actions, inputs) = (state.changes.clone(), state.inputs.clone());
        let name = actions.last().map_or_else(String::new, shown);
        let op = Op::File(FileOp { actions, link: false });
        let vertex = lowering.add(self.about, self.about.vertex(op, inputs, name))?;
        self.states[number] = State::on(vertex);
        Ok(vertex)
    }

    /// The action that an input is the result of.
    fn earlier(&self, input: i64) -> Option<usize> {
        usize::try_from(input).ok()?.checked_sub(self.inputs.len())
    }

    /// The file system that is changed first.
    fn input(&self, lowering: &mut Lowering, number: i64) -> Result<VertexId, LlbError> {
        let input = lowering.input(self.about, "input", number, self.inputs)?;
        Ok(lowering.root(input))
    }

    /// Names of owners are looked up in the file system that is changed, and nowhere else.
    fn check_owner(&self, action: &pb::FileAction, kind: &Action) -> Result<(), LlbError> {
        for named in owner_of(kind).into_iter().flat_map(names) {
            if named.input != action.input {
                let detail =
                    format!("`{}` is to be looked up in another file system than is changed", named.name);
                return Err(self.about.unsupported("owner", detail));
            }
        }
        Ok(())
    }

    fn removed(&self, path: &str) -> Result<String, LlbError> {
        let clean = from_root(path);
        let path = if clean == "/" { None } else { Some(clean) };
        path.ok_or_else(|| self.about.wrong("rm.path", "the root itself cannot be removed"))
    }

    /// `is_file` says that the input holds one file and nothing else.
    fn copy(&self, copy: &pb::FileActionCopy, input: usize, is_file: bool) -> Result<FileAction, LlbError> {
        if !copy.required_paths.is_empty() {
            return Err(self.about.unsupported("copy.required_paths", "paths cannot be required"));
        }
        let mode = match (copy.mode_str.as_str(), u32::try_from(copy.mode)) {
            ("", Ok(mode)) => Some(ModeChange::Set(mode & 0o7777)),
            ("", Err(_)) => None,
            (text, _) => Some(mode_text(text)),
        };
        let wildcards = match (copy.allow_wildcard, copy.allow_empty_wildcard) {
            (false, _) => Wildcards::None,
            (true, false) => Wildcards::Some,
            (true, true) => Wildcards::Any,
        };
        let transfer = Transfer {
            input,
            source: copy.src.clone(),
            destination: destination(&copy.dest),
            owner: owner(copy.owner.as_ref()),
            mode,
            time: time(copy.timestamp),
            wildcards,
            follow: copy.follow_symlink,
            contents: copy.dir_copy_contents,
            make_parents: copy.create_dest_path,
            replace: copy.always_replace_existing_dest_paths,
            include: copy.include_patterns.clone(),
            exclude: copy.exclude_patterns.clone(),
        };
        if copy.attempt_unpack_docker_compatibility {
            return self.unpacking(transfer, is_file);
        }
        Ok(FileAction::Transfer(transfer))
    }

    /// What unpacks archives is ADD, and ADD's other rules go with it; those about directories and links mean nothing to a
    /// file, and the root needs no parents.
    fn unpacking(&self, copy: Transfer, is_file: bool) -> Result<FileAction, LlbError> {
        let as_add = (is_file || (copy.follow && copy.contents))
            && (copy.make_parents || copy.destination == "/")
            && copy.time.is_none()
            && !copy.replace
            && copy.include.is_empty()
            && copy.wildcards != Wildcards::Some;
        if !as_add {
            let detail = "archives are only unpacked by copies that are otherwise like ADD";
            return Err(self.about.unsupported("copy.attemptUnpackDockerCompatibility", detail));
        }
        let source = match copy.wildcards {
            Wildcards::None => pattern::literal(copy.source.trim_start_matches('/')),
            Wildcards::Some | Wildcards::Any => copy.source.trim_start_matches('/').to_owned(),
        };
        Ok(FileAction::Copy(CopyAction {
            input: Some(copy.input),
            sources: vec![CopySource::Path(source)],
            destination: copy.destination,
            owner: copy.owner,
            mode: copy.mode,
            excludes: copy.exclude,
            unpack: true,
            directories_themselves: false,
        }))
    }
}

/// How an action is shown.
fn shown(action: &FileAction) -> String {
    match action {
        FileAction::Copy(copy) => format!("copy to {}", copy.destination),
        FileAction::Transfer(copy) => format!("copy {} {}", copy.source, copy.destination),
        FileAction::Mkdir { path, .. } => format!("mkdir {path}"),
        FileAction::MakeFile(file) => format!("mkfile {}", file.path),
        FileAction::MakeDirectory(directory) => format!("mkdir {}", directory.path),
        FileAction::MakeLink(link) => format!("symlink {} -> {}", link.path, link.target),
        FileAction::Remove(remove) => format!("rm {}", remove.path),
    }
}

fn names_owner(kind: &Action) -> bool {
    owner_of(kind).is_some_and(|owner| names(owner).next().is_some())
}

fn owner_of(kind: &Action) -> Option<&pb::ChownOpt> {
    match kind {
        Action::Copy(copy) => copy.owner.as_ref(),
        Action::Mkfile(file) => file.owner.as_ref(),
        Action::Mkdir(directory) => directory.owner.as_ref(),
        Action::Symlink(link) => link.owner.as_ref(),
        Action::Rm(_) => None,
    }
}

fn names(owner: &pb::ChownOpt) -> impl Iterator<Item = &pb::NamedUserOpt> {
    [&owner.user, &owner.group].into_iter().flatten().filter_map(|user| match &user.user {
        Some(User::ByName(named)) => Some(named),
        _ => None,
    })
}

fn owner(owner: Option<&pb::ChownOpt>) -> Option<Owner> {
    let owner = owner?;
    let text = |user: &pb::UserOpt| match &user.user {
        Some(User::ByName(named)) => Some(named.name.clone()),
        Some(User::ById(id)) => Some(id.to_string()),
        None => None,
    };
    let user = owner.user.as_ref().and_then(text);
    let group = owner.group.as_ref().and_then(text);
    (user.is_some() || group.is_some()).then(|| Owner { user: user.unwrap_or_default(), group })
}

/// A mode as text: octal digits, or the symbols of chmod.
fn mode_text(text: &str) -> ModeChange {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => ModeChange::Set(mode),
        _ => ModeChange::Symbolic(text.to_owned()),
    }
}

fn mode(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or_default()
}

/// Nanoseconds as whole seconds; a negative number is no time.
fn time(nanoseconds: i64) -> Option<i64> {
    (nanoseconds >= 0).then_some(nanoseconds / 1_000_000_000)
}

/// A destination from the root; its end says whether it is a directory.
fn destination(path: &str) -> String {
    let clean = from_root(path);
    let is_directory = path.ends_with('/') || path.ends_with("/.") || path == ".";
    if is_directory && clean != "/" { format!("{clean}/") } else { clean }
}
