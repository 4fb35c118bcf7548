//! ONBUILD: the triggers that a base leaves for the build that is based on it.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{Command, Instruction};
use kiln_parser::span::Span;

/// The line in front of a trigger that makes it a file the parser accepts.
const FRAME: &str = "FROM scratch\n";

/// The triggers that a stage of the same file leaves.
pub(super) fn of_stage(instructions: &[Instruction]) -> Vec<&str> {
    let texts = instructions.iter().filter_map(|instruction| match &instruction.command {
        Command::Onbuild(onbuild) => Some(onbuild.text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Parses triggers as they stand in an image's configuration. Mistakes are shown at `from`, the FROM that names
/// the image: their own place is not in this file.
pub(super) fn parse<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    from: Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Instruction> {
    let mut triggers = Vec::new();
    for text in texts {
        let parsed = kiln_parser::parse(&format!("{FRAME}{text}\n"));
        if parsed.has_errors() {
            let errors = parsed.diagnostics.into_iter().filter(Diagnostic::is_error);
            diagnostics.extend(errors.map(|error| relocate(error, text, from)));
            continue;
        }
        let stages = parsed.dockerfile.stages;
        match <[_; 1]>::try_from(stages).map(|[stage]| stage.instructions) {
            Ok(instructions) if instructions.len() == 1 && is_allowed(&instructions) => {
                triggers.extend(instructions);
            }
            _ => diagnostics.push(refused(text, from)),
        }
    }
    triggers
}

/// The same finding, shown at the FROM whose base brought the trigger.
pub(super) fn relocate(mut finding: Diagnostic, trigger: &str, from: Span) -> Diagnostic {
    finding.span = from;
    finding.label = String::new();
    finding.with_note(format!("in the trigger `ONBUILD {trigger}` of the base"))
}

fn is_allowed(instructions: &[Instruction]) -> bool {
    !instructions
        .iter()
        .any(|instruction| matches!(instruction.command, Command::Onbuild(_) | Command::Maintainer(_)))
}

fn refused(text: &str, from: Span) -> Diagnostic {
    let message = format!("the base has a trigger that is not one instruction: `ONBUILD {text}`");
    Diagnostic::error("invalid-trigger", message, from)
}
