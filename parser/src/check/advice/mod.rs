//! What would make a build faster or its image smaller: kiln's own rules about spots that cost users most.
//!
//! Guesses from the text of shell commands, so they are only ever notes, made when somebody asks for a check. What is
//! not certain to be meant (variables, wildcards, here-documents) is left alone.

mod shell;
mod stored;
mod tool;

use crate::check::Checks;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Command, CommandLine, Copy, Dockerfile, FileSource, MountKind, Run, Stage};
use crate::span::Span;
use stored::Copied;
use tool::Tool;

/// What could be better in `dockerfile`, whose text is `source`; `checks` as for
/// [`parse_with`](crate::parse_with).
pub fn advice(source: &str, dockerfile: &Dockerfile, checks: Option<&str>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for stage in &dockerfile.stages {
        look_at(stage, &mut found);
    }
    if found.is_empty() { found } else { Checks::new(source, checks).apply(found) }
}

/// What is remembered of the instructions before.
#[derive(Default)]
struct Before {
    copied: Copied,
    /// The first COPY of the whole context.
    everything: Option<Span>,
    /// Programs that have installed what the project needs.
    installed: Vec<&'static str>,
}

fn look_at(stage: &Stage, found: &mut Vec<Diagnostic>) {
    let mut before = Before::default();
    for instruction in &stage.instructions {
        match &instruction.command {
            Command::Workdir(directory) => before.copied.enter(&directory.value),
            Command::Add(add) => before.copied.add("ADD", &add.sources, &add.destination.value),
            Command::Copy(copy) => {
                before.copied.add("COPY", &copy.sources, &copy.destination.value);
                if is_everything(copy) {
                    before.everything.get_or_insert(instruction.span);
                }
            }
            Command::Run(run) => look_at_run(run, &mut before, found),
            _ => {}
        }
    }
}

/// Whether the whole context is copied.
fn is_everything(copy: &Copy) -> bool {
    let whole = |source: &FileSource| match source {
        FileSource::Path(path) => matches!(path.value.as_str(), "." | "./" | "/"),
        FileSource::Heredoc(_) => false,
    };
    copy.from.is_none() && copy.excludes.is_empty() && copy.sources.iter().any(whole)
}

fn look_at_run(run: &Run, before: &mut Before, found: &mut Vec<Diagnostic>) {
    let CommandLine::Shell { text } = &run.command else { return };
    if !run.heredocs.is_empty() {
        return;
    }
    let cached =
        run.mounts.iter().any(|mount| mount.kind.value == MountKind::Cache || !mount.open.is_empty());
    let mut downloads = None;
    for words in shell::commands(&text.value) {
        found.extend(before.copied.stored_twice(&words, text.span));
        let Some(tool) = Tool::of(&words) else { continue };
        downloads.get_or_insert(tool);
        if tool.installs_project(&words) && !before.installed.contains(&tool.program) {
            before.installed.push(tool.program);
            found.extend(before.everything.map(|copy| copied_too_early(tool, copy)));
        }
    }
    if let Some(tool) = downloads.filter(|_| !cached) {
        let message = format!("`{}` starts from nothing whenever this step runs", tool.name());
        let note = Diagnostic::note("download-without-cache", message, text.span);
        let cache = tool.cache;
        found.push(note.with_help(format!("RUN --mount=type=cache,target={cache} keeps it between builds")));
    }
}

fn copied_too_early(tool: &Tool, copy: Span) -> Diagnostic {
    let (name, manifest) = (tool.name(), tool.manifest);
    let message = format!("a change of any file of the context repeats `{name}`");
    Diagnostic::note("copy-before-install", message, copy)
        .with_help(format!("copy {manifest} first, run `{name}`, then copy the rest"))
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::parse;

    fn codes(source: &str) -> Vec<&'static str> {
        advice(source, &parse(source).dockerfile, None).iter().map(|found| found.code).collect()
    }

    #[test]
    fn a_download_wants_a_cache_mount() {
        for command in
            ["npm ci", "cd /a && pip3 install -r r.txt", "python -m pip install x", "go mod download"]
        {
            assert_eq!(codes(&format!("FROM a\nRUN {command}\n")), ["download-without-cache"], "{command}");
        }
        for command in [
            "--mount=type=cache,target=/x npm ci",
            "npm run build",
            "echo pip install",
            "pip --version",
            "[\"npm\", \"ci\"]",
        ] {
            assert_eq!(codes(&format!("FROM a\nRUN {command}\n")), Vec::<&str>::new(), "{command}");
        }
    }

    #[test]
    fn dependencies_are_installed_before_everything_is_copied() {
        let cache = "RUN --mount=type=cache,target=/x";
        assert_eq!(codes(&format!("FROM a\nCOPY . .\n{cache} npm ci\n")), ["copy-before-install"]);
        assert_eq!(
            codes(&format!("FROM a\nCOPY . /app\n{cache} pip install -r x\n")),
            ["copy-before-install"]
        );
        for rest in [
            format!("COPY package.json ./\n{cache} npm ci\nCOPY . .\n{cache} npm ci --production\n"),
            format!("COPY . .\n{cache} npm install -g yarn\n"),
            format!("COPY . .\n{cache} pip install flask\n"),
            format!("COPY --from=b . .\n{cache} npm ci\n"),
            format!("COPY . .\nFROM b\n{cache} npm ci\n"),
        ] {
            assert_eq!(codes(&format!("FROM a\n{rest}")), Vec::<&str>::new(), "{rest}");
        }
    }

    #[test]
    fn rules_are_skipped_like_all_others() {
        let source = "# check=skip=download-without-cache\nFROM a\nRUN npm ci\n";
        assert_eq!(codes(source), Vec::<&str>::new());
        assert_eq!(
            codes("FROM a\n# check=skip=all\nRUN npm ci\nRUN yarn install\n"),
            ["download-without-cache"]
        );
    }
}
