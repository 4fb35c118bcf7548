//! `RUN --mount`: what each type shows, where, and the inputs that it is taken from.
//!
//! Every value but `from` is expanded here. Two things are files of a context before they can be mounted: what
//! a bind shows of it, and what a cache begins with. They get a vertex of their own that copies them to [`SELECTED`]
//! on an empty root, so ignore rules, ownership, keys and explanations are those of a COPY, and the user's own directory
//! is never mounted. Defaults are those of the Dockerfile reference ("RUN --mount").

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{Instruction, Mount, MountKind, Run, Sharing as Written, Word};
use kiln_parser::span::Span;

use super::Checked;
use super::stage::StageLowering;
use crate::graph::{Display, Vertex, VertexId};
use crate::op::{Access, CacheMount, CopyAction, CopySource, ExecMount, FileAction, FileOp, Op, Sharing};
use crate::path;
use crate::pattern::literal;

/// The build argument that keeps the caches of different users of one machine apart.
const NAMESPACE_ARG: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// Where the vertex that selects files puts them: a directory's contents become this directory, a file this file.
const SELECTED: &str = "selected";

/// What a path that stands for the whole root is.
const WHOLE: &str = ".";

/// Where secrets are, each under the last part of its id.
const SECRETS: &str = "/run/secrets";

/// Permission bits of a secret's file, an agent's socket and a new cache.
const SECRET_MODE: u32 = 0o400;
const SOCKET_MODE: u32 = 0o600;
const CACHE_MODE: u32 = 0o755;

/// The id of an agent that nobody named.
const DEFAULT_AGENT: &str = "default";

/// The largest permission bits.
const MODE_MAX: u32 = 0o7777;

/// The word with which a mount names a stage or an image.
pub(super) fn named_source(mount: &Mount) -> Option<&Word> {
    match mount.kind.value {
        MountKind::Bind | MountKind::Cache => mount.from.as_ref(),
        MountKind::Tmpfs | MountKind::Secret | MountKind::Ssh => None,
    }
}

impl StageLowering<'_, '_> {
    /// The mounts of a RUN. What they take files from is added to `inputs`; mistakes are reported, each of them.
    pub(super) fn mounts(
        &mut self,
        instruction: &Instruction,
        run: &Run,
        inputs: &mut Vec<VertexId>,
    ) -> Vec<ExecMount> {
        let mut mounts = Vec::with_capacity(run.mounts.len());
        let mut agents = 0;
        for mount in &run.mounts {
            let mount = match mount.settled(|word| self.expand(word)) {
                Ok(mount) => mount,
                Err(found) => {
                    for diagnostic in found {
                        self.report(diagnostic);
                    }
                    continue;
                }
            };
            let lowered = match mount.kind.value {
                MountKind::Bind => self.bind(instruction, &mount, inputs),
                MountKind::Cache => self.cache(instruction, &mount, inputs),
                MountKind::Tmpfs => self.tmpfs(&mount).map(Some),
                MountKind::Secret => self.secret(&mount).map(Some),
                MountKind::Ssh => {
                    agents += 1;
                    self.ssh(&mount, agents - 1).map(Some)
                }
            };
            match lowered {
                Ok(lowered) => mounts.extend(lowered),
                Err(diagnostic) => self.report(*diagnostic),
            }
        }
        mounts
    }

    /// `None` if the stage that it names could not be lowered, which was reported.
    fn bind(
        &mut self,
        instruction: &Instruction,
        mount: &Mount,
        inputs: &mut Vec<VertexId>,
    ) -> Checked<Option<ExecMount>> {
        let target = self.target(mount)?;
        let source = self.source(mount)?;
        let read_only = mount.readonly.as_ref().is_none_or(|read_only| read_only.value);
        let origin =
            mount.from.as_ref().map(|from| self.build.stages.named_origin(self.index, from)).transpose()?;
        let Some(vertex) = self.origin_vertex(origin.as_ref()) else { return Ok(None) };
        let (vertex, source) = if self.assembly.is_loose(vertex) {
            (self.select(instruction, vertex, &source), SELECTED.to_owned())
        } else {
            (vertex, source)
        };
        Ok(Some(ExecMount::Bind { input: add_input(inputs, vertex), source, target, read_only }))
    }

    fn cache(
        &mut self,
        instruction: &Instruction,
        mount: &Mount,
        inputs: &mut Vec<VertexId>,
    ) -> Checked<Option<ExecMount>> {
        let target = self.target(mount)?;
        let mut source = self.source(mount)?;
        let id = match self.expand_option(mount.id.as_ref())?.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => path::clean(&self.expand_option(mount.target.as_ref())?.unwrap_or_default()),
        };
        let mut input = None;
        if let Some(from) = &mount.from {
            let origin = self.build.stages.named_origin(self.index, from)?;
            let Some(vertex) = self.origin_vertex(Some(&origin)) else { return Ok(None) };
            input = Some(add_input(inputs, self.select(instruction, vertex, &source)));
            SELECTED.clone_into(&mut source);
        }
        let sharing = match mount.sharing.as_ref().map(|sharing| sharing.value) {
            None | Some(Written::Shared) => Sharing::Shared,
            Some(Written::Private) => Sharing::Private,
            Some(Written::Locked) => Sharing::Locked,
        };
        let chosen = mount.mode.is_some() || mount.uid.is_some() || mount.gid.is_some();
        let access = chosen.then(|| self.access(mount, CACHE_MODE)).transpose()?;
        let read_only = mount.readonly.as_ref().is_some_and(|read_only| read_only.value);
        let namespace = self.build.options.build_args.get(NAMESPACE_ARG).cloned().unwrap_or_default();
        let cache = CacheMount { namespace, id, target, sharing, input, source, access, read_only };
        Ok(Some(ExecMount::Cache(cache)))
    }

    fn tmpfs(&mut self, mount: &Mount) -> Checked<ExecMount> {
        let target = self.target(mount)?;
        let size = mount.size.as_ref().map(|size| self.size(size)).transpose()?;
        Ok(ExecMount::Tmpfs { target, size })
    }

    fn secret(&mut self, mount: &Mount) -> Checked<ExecMount> {
        let written = self.expand_option(mount.target.as_ref())?.filter(|target| !target.is_empty());
        let id = match &mount.id {
            Some(id) => self.expand(id)?,
            None => self.expand_option(mount.source.as_ref())?.unwrap_or_default(),
        };
        let id = match (id.is_empty(), &written) {
            (false, _) => id,
            (true, Some(target)) => last_part(target).to_owned(),
            (true, None) => return Err(invalid("the id of the secret is empty".to_owned(), mount.span)),
        };
        let env = self.expand_option(mount.env.as_ref())?;
        if let (Some(name), Some(word)) = (&env, &mount.env)
            && (name.is_empty() || name.contains(['=', '\0']))
        {
            return Err(invalid(format!("\"{name}\" cannot be the name of a variable"), word.span));
        }
        let target = match (written, &env) {
            (Some(_), _) => Some(self.target(mount)?),
            (None, Some(_)) => None,
            (None, None) => Some(path::resolve(SECRETS, last_part(&id))),
        };
        let access = self.access(mount, SECRET_MODE)?;
        let required = mount.required.as_ref().is_some_and(|required| required.value);
        Ok(ExecMount::Secret { id, target, env, access, required })
    }

    fn ssh(&mut self, mount: &Mount, number: usize) -> Checked<ExecMount> {
        if let Some(source) = &mount.source {
            let error = invalid("an ssh mount has no source".to_owned(), source.span);
            return Err(Box::new(error.with_help("say with `id` which agent is meant")));
        }
        let id = self.expand_option(mount.id.as_ref())?.filter(|id| !id.is_empty());
        let target = match &mount.target {
            Some(_) => self.target(mount)?,
            None => format!("/run/buildkit/ssh_agent.{number}"),
        };
        let access = self.access(mount, SOCKET_MODE)?;
        let required = mount.required.as_ref().is_some_and(|required| required.value);
        Ok(ExecMount::Ssh { id: id.unwrap_or_else(|| DEFAULT_AGENT.to_owned()), target, access, required })
    }

    /// The vertex of what is selected at `source` of an input.
    fn select(&mut self, instruction: &Instruction, input: VertexId, source: &str) -> VertexId {
        let scratch = self.assembly.scratch();
        let shown = if source == WHOLE { "all files" } else { source };
        let display = Display {
            name: format!("[internal] load {shown} to mount"),
            location: Some(self.location(instruction)),
            ..Display::default()
        };
        let copy = CopyAction {
            input: Some(1),
            sources: vec![CopySource::Path(literal(source))],
            destination: format!("/{SELECTED}"),
            owner: None,
            mode: None,
            excludes: Vec::new(),
            unpack: false,
            directories_themselves: true,
        };
        let op = Op::File(FileOp { actions: vec![FileAction::Copy(copy)], link: false });
        self.assembly.shared(Vertex { op, inputs: vec![scratch, input], no_cache: false, display })
    }

    /// Where the mount appears; without a target that is the working directory.
    fn target(&mut self, mount: &Mount) -> Checked<String> {
        let written = self.expand_option(mount.target.as_ref())?.unwrap_or_default();
        let target = path::resolve(&self.state.cwd, &written);
        // A base that is not known may have a working directory of its own.
        let elsewhere = !self.state.base_known && !written.starts_with('/');
        if target != "/" || elsewhere {
            return Ok(target);
        }
        let span = mount.target.as_ref().map_or(mount.span, |target| target.span);
        let error = invalid(format!("invalid mount target \"{written}\""), span);
        Err(Box::new(error.with_help("a mount cannot replace the whole root file system")))
    }

    fn source(&mut self, mount: &Mount) -> Checked<String> {
        Ok(path::beneath_root(&self.expand_option(mount.source.as_ref())?.unwrap_or_default()))
    }

    fn access(&mut self, mount: &Mount, default: u32) -> Checked<Access> {
        let mode = self.number(mount.mode.as_ref(), "mode", 8, MODE_MAX)?.unwrap_or(default);
        // The largest value stands for "nobody" in system calls.
        let uid = self.number(mount.uid.as_ref(), "uid", 10, u32::MAX - 1)?.unwrap_or(0);
        let gid = self.number(mount.gid.as_ref(), "gid", 10, u32::MAX - 1)?.unwrap_or(0);
        Ok(Access { mode, uid, gid })
    }

    fn number(&mut self, word: Option<&Word>, key: &str, radix: u32, largest: u32) -> Checked<Option<u32>> {
        let Some(word) = word else { return Ok(None) };
        let text = self.expand(word)?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = u32::from_str_radix(&text, radix).ok().filter(|number| digits && *number <= largest);
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(format!("invalid value \"{text}\" for {key}"), word.span)),
        }
    }

    fn size(&mut self, word: &Word) -> Checked<u64> {
        let text = self.expand(word)?;
        bytes(&text).ok_or_else(|| {
            invalid(format!("invalid size \"{text}\": write bytes, or a number with k, m or g"), word.span)
        })
    }
}

fn invalid(message: String, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("invalid-mount", message, span))
}

/// The number of an input, which is added if it is not among them; never 0, which is the root.
fn add_input(inputs: &mut Vec<VertexId>, vertex: VertexId) -> usize {
    let known = inputs.iter().skip(1).position(|input| *input == vertex);
    known.map_or_else(
        || {
            inputs.push(vertex);
            inputs.len() - 1
        },
        |position| position + 1,
    )
}

fn last_part(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Bytes, with Docker's units: `64m`, `1.5g`, `512kb`, `1GiB`; each is a power of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let unit = 1u64 << shift;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let fraction: String = fraction.chars().take(6).collect();
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_add(u64::try_from(parts / scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Glob, has_wildcard};

    #[test]
    fn sizes_have_docker_s_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("1k", Some(1024)),
            ("64M", Some(64 << 20)),
            ("64mb", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1.5g", Some(3 << 29)),
            ("1 m", Some(1 << 20)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("99999999p", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_as_a_pattern_matches_itself_alone() {
        for path in ["src", "a*b?[c]", "back\\slash"] {
            let glob = Glob::new(&literal(path));
            assert!(!has_wildcard(&literal(path)));
            assert!(glob.is_ok_and(|glob| glob.matches(path)), "{path}");
        }
    }

    #[test]
    fn the_last_part_of_a_path() {
        for (path, part) in [("a/b", "b"), ("b", "b"), ("/a/b/", "b"), ("/", ""), ("", "")] {
            assert_eq!(last_part(path), part);
        }
    }
}
