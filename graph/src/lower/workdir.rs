//! WORKDIR: where later steps run, and the directory itself.

use kiln_parser::instruction::{Instruction, Word};

use super::Checked;
use super::copy::owner;
use super::stage::StageLowering;
use crate::graph::Vertex;
use crate::op::{FileAction, FileOp, Op};
use crate::path;

/// Permission bits of directories that WORKDIR makes.
const MODE: u32 = 0o755;

impl StageLowering<'_, '_> {
    pub(super) fn workdir(&mut self, instruction: &Instruction, directory: &Word) -> Checked<()> {
        let written = self.expand(directory)?;
        self.check_workdir(directory, &written);
        let cwd = path::resolve(&self.state.cwd, &written);
        // An absolute path goes into the configuration as it was written, as in Docker: `/app/` stays `/app/`.
        let shown = if written.starts_with('/') { written } else { cwd.clone() };
        self.state.config.config.working_dir.clone_from(&shown);
        self.state.cwd.clone_from(&cwd);
        let created_by = format!("WORKDIR {shown}");
        if cwd == "/" {
            self.state.record(created_by);
            return Ok(());
        }
        let user = &self.state.config.config.user;
        let owner = if user.is_empty() { None } else { Some(owner(user, directory.span)?) };
        let make = FileAction::Mkdir { path: cwd, mode: MODE, owner };
        let text = self.expanded_text(instruction);
        let display = self.display(instruction, &text);
        let op = Op::File(FileOp { actions: vec![make], link: false });
        self.state.vertex =
            self.assembly.add(Vertex { op, inputs: vec![self.state.vertex], no_cache: false, display });
        self.state.record_directory(created_by);
        Ok(())
    }
}
