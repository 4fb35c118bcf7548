//! The typed form as text: one line a field, each value with the place it was written at.

use std::fmt::Write as _;

use kiln_parser::instruction::{
    Add, ArgDeclaration, Command, CommandLine, Copy, Dockerfile, FileSource, Healthcheck, Heredoc,
    Instruction, KeyValue, Mount, Run, Word,
};
use kiln_parser::{Span, Spanned};

/// All of `dockerfile`, whose source is `source`.
pub fn dockerfile(dockerfile: &Dockerfile, source: &str) -> String {
    let mut dump = Dump { source, text: String::new(), depth: 0 };
    if dockerfile.escape() != '\\' {
        dump.line(&format!("escape {:?}", dockerfile.escape()));
    }
    for directive in &dockerfile.directives {
        dump.word("directive", &directive.name);
        dump.nested(|dump| dump.word("value", &directive.value));
    }
    for (declaration, span) in &dockerfile.global_args {
        let place = dump.place(*span);
        dump.line(&format!("global ARG {place}"));
        dump.nested(|dump| dump.declaration(declaration));
    }
    for stage in &dockerfile.stages {
        let place = dump.place(stage.span);
        dump.line(&format!("stage {place}"));
        dump.nested(|dump| {
            dump.line(&format!("FROM {} {:?}", dump.place(stage.from.span), stage.from.text));
            dump.nested(|dump| {
                dump.optional("platform", stage.from.platform.as_ref());
                dump.word("base", &stage.from.base);
                dump.optional("name", stage.from.name.as_ref());
            });
            for instruction in &stage.instructions {
                dump.instruction(instruction);
            }
        });
    }
    dump.text
}

struct Dump<'s> {
    source: &'s str,
    text: String,
    depth: usize,
}

impl Dump<'_> {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{:1$}{text}", "", self.depth * 2);
    }

    fn nested(&mut self, inside: impl FnOnce(&mut Self)) {
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    /// `line:column-line:column`, both from 1, columns in characters.
    fn place(&self, span: Span) -> String {
        let position = |at: usize| {
            let before = &self.source[..at];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
            format!("{line}:{column}")
        };
        format!("{}-{}", position(span.start), position(span.end))
    }

    /// The value, its place and, where that differs, what is written there.
    fn word(&mut self, name: &str, word: &Spanned<String>) {
        let mut line = format!("{name} {:?} {}", word.value, self.place(word.span));
        let written = &self.source[word.span.range()];
        if written != word.value {
            let _ = write!(line, " written {written:?}");
        }
        self.line(&line);
    }

    fn optional(&mut self, name: &str, word: Option<&Word>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    fn words(&mut self, name: &str, words: &[Word]) {
        for word in words {
            self.word(name, word);
        }
    }

    fn value<T: std::fmt::Debug>(&mut self, name: &str, value: Option<&Spanned<T>>) {
        if let Some(value) = value {
            let place = self.place(value.span);
            self.line(&format!("{name} {:?} {place}", value.value));
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        let keyword = &self.source[instruction.keyword.range()];
        let place = self.place(instruction.span);
        self.line(&format!("{keyword} {place} {:?}", instruction.text));
        self.nested(|dump| dump.command(&instruction.command));
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Add(add) => self.add(add),
            Command::Arg(declarations) => {
                for declaration in declarations {
                    self.declaration(declaration);
                }
            }
            Command::Cmd(line) | Command::Entrypoint(line) => self.command_line(line),
            Command::Copy(copy) => self.copy(copy),
            Command::Env(pairs) | Command::Label(pairs) => pairs.iter().for_each(|pair| self.pair(pair)),
            Command::Expose(words) => self.words("port", words),
            Command::Healthcheck(healthcheck) => self.healthcheck(healthcheck),
            Command::Maintainer(word)
            | Command::Stopsignal(word)
            | Command::User(word)
            | Command::Workdir(word) => self.word("argument", word),
            Command::Onbuild(onbuild) => {
                self.line(&format!("stored {:?}", onbuild.text));
                self.instruction(&onbuild.trigger);
            }
            Command::Run(run) => self.run(run),
            Command::Shell(words) => self.words("member", words),
            Command::Volume(words) => self.words("path", words),
        }
    }

    fn declaration(&mut self, declaration: &ArgDeclaration) {
        self.word("name", &declaration.name);
        self.optional("default", declaration.default.as_ref());
    }

    fn pair(&mut self, pair: &KeyValue) {
        self.word(if pair.legacy { "legacy key" } else { "key" }, &pair.key);
        self.word("value", &pair.value);
    }

    fn command_line(&mut self, line: &CommandLine) {
        match line {
            CommandLine::Shell { text } => self.word("shell", text),
            CommandLine::Exec(members) if members.is_empty() => self.line("exec []"),
            CommandLine::Exec(members) => self.words("exec", members),
        }
    }

    fn run(&mut self, run: &Run) {
        run.mounts.iter().for_each(|mount| self.mount(mount));
        self.value("network", run.network.as_ref());
        self.value("security", run.security.as_ref());
        self.words("device", &run.devices);
        self.command_line(&run.command);
        run.heredocs.iter().for_each(|heredoc| self.heredoc(heredoc));
    }

    fn mount(&mut self, mount: &Mount) {
        let place = self.place(mount.span);
        self.line(&format!("mount {place}"));
        self.nested(|dump| {
            dump.value("type", Some(&mount.kind));
            let words = [
                ("from", &mount.from),
                ("source", &mount.source),
                ("target", &mount.target),
                ("id", &mount.id),
                ("mode", &mount.mode),
                ("uid", &mount.uid),
                ("gid", &mount.gid),
                ("size", &mount.size),
                ("env", &mount.env),
            ];
            for (name, word) in words {
                dump.optional(name, word.as_ref());
            }
            dump.value("readonly", mount.readonly.as_ref());
            dump.value("sharing", mount.sharing.as_ref());
            dump.value("required", mount.required.as_ref());
            for field in &mount.open {
                dump.optional(&format!("open {}", field.key), field.value.as_ref());
            }
        });
    }

    fn copy(&mut self, copy: &Copy) {
        self.optional("from", copy.from.as_ref());
        self.optional("chown", copy.chown.as_ref());
        self.optional("chmod", copy.chmod.as_ref());
        self.value("link", copy.link.as_ref());
        self.value("parents", copy.parents.as_ref());
        self.words("exclude", &copy.excludes);
        self.files(&copy.sources, &copy.destination);
    }

    fn add(&mut self, add: &Add) {
        self.optional("chown", add.chown.as_ref());
        self.optional("chmod", add.chmod.as_ref());
        self.optional("checksum", add.checksum.as_ref());
        self.value("link", add.link.as_ref());
        self.value("keep-git-dir", add.keep_git_dir.as_ref());
        self.value("unpack", add.unpack.as_ref());
        self.words("exclude", &add.excludes);
        self.files(&add.sources, &add.destination);
    }

    fn files(&mut self, sources: &[FileSource], destination: &Word) {
        for source in sources {
            match source {
                FileSource::Path(word) => self.word("source", word),
                FileSource::Heredoc(heredoc) => self.heredoc(heredoc),
            }
        }
        self.word("destination", destination);
    }

    fn heredoc(&mut self, heredoc: &Heredoc) {
        let marker = self.place(heredoc.marker);
        let mut line = format!("heredoc {:?} {marker}", heredoc.name);
        if !heredoc.expand {
            line.push_str(" literal");
        }
        if heredoc.strip_tabs {
            line.push_str(" stripped");
        }
        if heredoc.file_descriptor != 0 {
            let _ = write!(line, " descriptor {}", heredoc.file_descriptor);
        }
        self.line(&line);
        self.nested(|dump| dump.word("body", &heredoc.body));
    }

    fn healthcheck(&mut self, healthcheck: &Healthcheck) {
        let Healthcheck::Command { command, interval, timeout, start_period, start_interval, retries } =
            healthcheck
        else {
            return self.line("none");
        };
        self.value("interval", interval.as_ref());
        self.value("timeout", timeout.as_ref());
        self.value("start-period", start_period.as_ref());
        self.value("start-interval", start_interval.as_ref());
        self.value("retries", retries.as_ref());
        self.command_line(command);
    }
}
