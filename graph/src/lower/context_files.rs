//! The vertices of a named context: its files as something to copy from, and as a root file system.
//!
//! What is in no layer yet (a directory) is copied onto an empty root where a root is needed. An archive of a web
//! server is unpacked onto an empty root, as ADD does; any other file is there as [`DOWNLOADED`]. Called where a
//! stage begins and where files are copied or mounted.

use super::assembly::Assembly;
use super::contexts::DOWNLOADED;
use crate::graph::{Display, Vertex, VertexId};
use crate::op::{CopyAction, CopySource, FileAction, FileOp, Op, Source};
use crate::redact;

/// The files of the context `name`, to be copied or mounted.
pub(super) fn files(assembly: &mut Assembly, name: &str, source: &Source) -> VertexId {
    let vertex = assembly.source(source.clone(), display(name, source));
    let Source::Http(http) = source else { return vertex };
    let shown = format!("[context {name}] unpack {}", redact(&http.url));
    on_empty_root(assembly, vertex, DOWNLOADED, Display { name: shown, ..Display::default() })
}

/// The same as a root file system of one layer. `shown` is how its making is shown, where that is a step.
pub(super) fn root(assembly: &mut Assembly, name: &str, source: &Source, shown: Display) -> VertexId {
    let vertex = files(assembly, name, source);
    match source {
        Source::Context { .. } => on_empty_root(assembly, vertex, ".", shown),
        _ => vertex,
    }
}

fn display(name: &str, source: &Source) -> Display {
    let text = match source {
        Source::Git(git) => format!("load git source {}", redact(&git.remote)),
        Source::Http(http) => format!("download {}", redact(&http.url)),
        _ => "load from its directory".to_owned(),
    };
    Display { name: format!("[context {name}] {text}"), ..Display::default() }
}

/// What `path` of `input` holds, archives unpacked where it is a file, as the only layer of a root.
fn on_empty_root(assembly: &mut Assembly, input: VertexId, path: &str, display: Display) -> VertexId {
    let scratch = assembly.scratch();
    let copy = CopyAction {
        input: Some(1),
        sources: vec![CopySource::Path(path.to_owned())],
        destination: "/".to_owned(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: path == DOWNLOADED,
        directories_themselves: false,
    };
    let op = Op::File(FileOp { actions: vec![FileAction::Copy(copy)], link: false });
    assembly.shared(Vertex { op, inputs: vec![scratch, input], no_cache: false, display })
}
