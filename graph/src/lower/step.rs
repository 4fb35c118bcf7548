//! One instruction: which module knows it, and how its words expand.

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lookup;
use kiln_parser::instruction::{Command, Instruction, Word};
use kiln_parser::span::Span;
use kiln_parser::suggest;

use super::Checked;
use super::config::NOT_IN_ENVIRONMENT;
use super::scope::expansion_failed;
use super::stage::StageLowering;

impl StageLowering<'_, '_> {
    /// Lowers one instruction.
    pub fn dispatch(&mut self, instruction: &Instruction) -> Checked<()> {
        match &instruction.command {
            Command::Add(add) => self.add(instruction, add),
            Command::Arg(declarations) => self.arg(declarations),
            Command::Cmd(line) => {
                self.check_shell_form(instruction, line);
                self.cmd(line);
                Ok(())
            }
            Command::Copy(copy) => self.copy(instruction, copy),
            Command::Entrypoint(line) => {
                self.check_shell_form(instruction, line);
                self.entrypoint(line);
                Ok(())
            }
            Command::Env(pairs) => self.env(pairs),
            Command::Expose(ports) => self.expose(ports),
            Command::Healthcheck(check) => {
                self.healthcheck(check);
                Ok(())
            }
            Command::Label(pairs) => self.label(pairs),
            Command::Maintainer(author) => {
                self.maintainer(author);
                Ok(())
            }
            Command::Onbuild(onbuild) => {
                self.state.config.config.on_build.push(onbuild.text.clone());
                Ok(())
            }
            Command::Run(run) => self.run(instruction, run),
            Command::Shell(words) => {
                self.shell(words);
                Ok(())
            }
            Command::Stopsignal(signal) => self.stopsignal(signal),
            Command::User(user) => self.user(user),
            Command::Volume(paths) => self.volume(paths),
            Command::Workdir(directory) => self.workdir(instruction, directory),
        }
    }

    /// Expands a word into one value.
    pub fn expand(&mut self, word: &Word) -> Checked<String> {
        let expanded = self
            .build
            .globals
            .lex
            .expand_word(&word.value, &self.state.environment)
            .map_err(|error| expansion_failed(word, &error))?;
        self.warn_of_unset(&expanded.unset, word.span);
        Ok(expanded.value)
    }

    /// Expands an option's value, if it was given.
    pub fn expand_option(&mut self, word: Option<&Word>) -> Checked<Option<String>> {
        word.map(|word| self.expand(word)).transpose()
    }

    /// The text of a step as progress lines show it: expanded where that works.
    pub fn expanded_text(&self, instruction: &Instruction) -> String {
        let expanded = self.build.globals.lex.expand_word(&instruction.text, &self.state.environment);
        expanded.map_or_else(|_| instruction.text.clone(), |expanded| expanded.value)
    }

    /// Warns of variables that nothing sets. An ARG without a value is declared on purpose, and what is not known
    /// of a base may set anything.
    pub fn warn_of_unset(&mut self, unset: &[String], span: Span) {
        if !self.state.base_known {
            return;
        }
        for name in unset {
            if NOT_IN_ENVIRONMENT.contains(&name.as_str())
                || self.state.args.iter().any(|(declared, _)| declared == name)
            {
                continue;
            }
            let meant = suggest::nearest(name, self.state.environment.names());
            let meant = meant.map(|meant| format!(" (did you mean ${meant}?)")).unwrap_or_default();
            let message = format!("Usage of undefined variable '${name}'{meant}");
            let warning = Diagnostic::warning("UndefinedVar", message, span);
            let global = self.build.globals.environment.get(name).is_some();
            let help = format!(
                "`{name}` is known before the first FROM only; `ARG {name}` in this stage brings it in"
            );
            self.report(if global { warning.with_help(help) } else { warning });
        }
    }
}
