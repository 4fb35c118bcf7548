//! InvalidDefinitionDescription: a comment directly above ARG or a named FROM describes it, and says so by
//! beginning with its name.

use crate::comments::Comments;
use crate::diagnostic::Diagnostic;
use crate::instruction::{ArgDeclaration, Command, Dockerfile};
use crate::span::Span;

/// Something with a description.
struct Definition<'a> {
    keyword: &'static str,
    names: Vec<&'a str>,
    span: Span,
}

/// What the rule finds in `dockerfile`, whose comments are `comments`.
pub(super) fn descriptions(dockerfile: &Dockerfile, comments: &Comments<'_>) -> Vec<Diagnostic> {
    let definitions = definitions(dockerfile);
    let mut found = Vec::new();
    for above in comments.iter() {
        let index = definitions.partition_point(|definition| definition.span.start < above.extent.start);
        let Some(definition) = definitions.get(index).filter(|next| next.span.start < above.extent.end)
        else {
            continue;
        };
        let Some(last) = above.adjacent().last() else { continue };
        let first = last.split(' ').next().unwrap_or_default();
        if !definition.names.contains(&first) {
            found.push(finding(definition));
        }
    }
    found
}

fn finding(definition: &Definition<'_>) -> Diagnostic {
    let name = match definition.names.as_slice() {
        [name] => name,
        _ => "<arg_key>",
    };
    let keyword = definition.keyword;
    let message = format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    Diagnostic::warning("InvalidDefinitionDescription", message, definition.span)
        .with_help("put an empty line between the comment and the instruction if it is no description")
}

/// The definitions, in the order of their places.
fn definitions(dockerfile: &Dockerfile) -> Vec<Definition<'_>> {
    let mut all: Vec<Definition<'_>> = Vec::new();
    for (declaration, span) in &dockerfile.global_args {
        match all.last_mut().filter(|last| last.span == *span) {
            Some(same) => same.names.push(&declaration.name.value),
            None => all.push(arg(std::slice::from_ref(declaration), *span)),
        }
    }
    for stage in &dockerfile.stages {
        if let Some(name) = &stage.from.name {
            all.push(Definition { keyword: "FROM", names: vec![&name.value], span: stage.from.span });
        }
        let args = stage.instructions.iter().filter_map(|instruction| match &instruction.command {
            Command::Arg(declarations) => Some(arg(declarations, instruction.span)),
            _ => None,
        });
        all.extend(args);
    }
    all
}

fn arg(declarations: &[ArgDeclaration], span: Span) -> Definition<'_> {
    let names = declarations.iter().map(|declaration| declaration.name.value.as_str()).collect();
    Definition { keyword: "ARG", names, span }
}
