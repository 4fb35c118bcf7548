//! Typed instructions to a Dockerfile: directives, global arguments, stages.
//!
//! Decides what may stand before the first FROM; which stages a build needs is the graph's business.

use crate::command::{Statement, keyword, statement};
use crate::diagnostic::Diagnostic;
use crate::instruction::{Command, Dockerfile, Instruction, Stage};
use crate::span::Span;
use crate::syntax::{Item, Node, Tree};

/// Everything that `tree` says, with the diagnostics of all layers.
pub(crate) fn dockerfile(source: &str, tree: Tree<'_>) -> (Dockerfile, Vec<Diagnostic>) {
    let mut assembly = Assembly {
        dockerfile: Dockerfile::default(),
        found: tree.diagnostics,
        before: Before::FirstStage,
        instructions: 0,
    };
    for item in tree.items {
        match item {
            Item::Directive(_, directive) => assembly.dockerfile.directives.push(directive),
            Item::Instruction(node) => assembly.node(source, node, tree.escape),
            Item::ByteOrderMark(_) | Item::Shebang(_) | Item::Comment(_) | Item::Blank(_) => {}
        }
    }
    assembly.finish(source)
}

/// What the next instruction would belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// No FROM so far.
    FirstStage,
    /// No FROM so far, and that has been said.
    Reported,
    /// The stage that was opened last.
    NextStage,
    /// A FROM that could not be read: its instructions are checked and dropped.
    BrokenStage,
}

struct Assembly {
    dockerfile: Dockerfile,
    found: Vec<Diagnostic>,
    before: Before,
    instructions: usize,
}

impl Assembly {
    fn node(&mut self, source: &str, node: Node<'_>, escape: char) {
        self.instructions += 1;
        let keyword = keyword(&node);
        let is_first = self.instructions == 1;
        match statement(source, node, escape, is_first, &mut self.found) {
            Some(Statement::From(from)) => {
                let span = from.span;
                self.dockerfile.stages.push(Stage { from, instructions: Vec::new(), span });
                self.before = Before::NextStage;
            }
            Some(Statement::Instruction(instruction)) => self.instruction(instruction),
            None if keyword == Some("FROM") => self.before = Before::BrokenStage,
            // What cannot be read may have been meant to be FROM: then the rest has its stage.
            None if keyword.is_none() && self.before == Before::FirstStage => self.before = Before::Reported,
            None => {}
        }
    }

    fn instruction(&mut self, instruction: Instruction) {
        match (self.before, instruction.command) {
            (Before::NextStage, command) => {
                if let Some(stage) = self.dockerfile.stages.last_mut() {
                    stage.span = stage.span.to(instruction.span);
                    stage.instructions.push(Instruction { command, ..instruction });
                }
            }
            (Before::FirstStage | Before::Reported, Command::Arg(declarations)) => {
                let global = declarations.into_iter().map(|declaration| (declaration, instruction.span));
                self.dockerfile.global_args.extend(global);
            }
            (Before::FirstStage, _) => {
                self.before = Before::Reported;
                let message = "no build stage in current context";
                self.found.push(
                    Diagnostic::error("no-stage", message, instruction.keyword)
                        .with_label("only ARG may stand before the first FROM")
                        .with_help("begin with FROM"),
                );
            }
            (Before::Reported | Before::BrokenStage, _) => {}
        }
    }

    fn finish(mut self, source: &str) -> (Dockerfile, Vec<Diagnostic>) {
        let end = source.trim_end().len();
        let message = match (self.before, self.instructions) {
            (_, 0) => "file with no instructions",
            (Before::FirstStage, _) => "dockerfile contains no stages to build",
            _ => return (self.dockerfile, self.found),
        };
        if !self.found.iter().any(Diagnostic::is_error) {
            let diagnostic = Diagnostic::error("no-stages", message, Span::new(end, end));
            self.found.push(diagnostic.with_help("a stage begins with FROM"));
        }
        (self.dockerfile, self.found)
    }
}
