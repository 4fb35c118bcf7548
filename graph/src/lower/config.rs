//! The instructions that only change the image configuration, and ARG.

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lookup;
use kiln_parser::instruction::{self, ArgDeclaration, CommandLine, KeyValue, Word};
use kiln_parser::span::Spanned;
use serde_json::Value;

use super::stage::{StageLowering, StageState};
use super::{Checked, gotext, signal};
use crate::image::Healthcheck;

/// What runs a shell form when no SHELL was given.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// ARGs that are for the builder and never seen by a process.
pub(super) const NOT_IN_ENVIRONMENT: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

impl StageState {
    /// The command that SHELL makes of a shell form's text.
    pub fn with_shell(&self, text: &str) -> Vec<String> {
        let shell = self.config.config.shell.as_deref().filter(|shell| !shell.is_empty());
        let mut args = shell.map_or_else(|| DEFAULT_SHELL.map(str::to_owned).to_vec(), <[String]>::to_vec);
        args.push(text.to_owned());
        args
    }

    fn command(&self, line: &CommandLine) -> Vec<String> {
        match line {
            CommandLine::Shell { text } => self.with_shell(&text.value),
            CommandLine::Exec(words) => values(words),
        }
    }
}

impl StageLowering<'_, '_> {
    pub(super) fn cmd(&mut self, line: &CommandLine) {
        let args = self.state.command(line);
        let created_by = format!("CMD {}", gotext::quoted_list(&args));
        let config = &mut self.state.config.config;
        config.cmd = Some(args);
        config.args_escaped = Some(true);
        self.state.cmd_set = true;
        self.state.record(created_by);
    }

    /// A CMD that came from the base was meant for the base's entry point.
    pub(super) fn entrypoint(&mut self, line: &CommandLine) {
        let args = self.state.command(line);
        let created_by = format!("ENTRYPOINT {}", gotext::quoted_list(&args));
        self.state.config.config.entrypoint = Some(args);
        if !self.state.cmd_set {
            self.state.config.config.cmd = None;
        }
        self.state.record(created_by);
    }

    /// All values expand with the environment as it was before the instruction.
    pub(super) fn env(&mut self, pairs: &[KeyValue]) -> Checked<()> {
        let pairs = self.expand_pairs(pairs)?;
        for (name, value) in &pairs {
            self.state.environment.set(name, value);
            let variable = format!("{name}={value}");
            let env = &mut self.state.config.config.env;
            match env.iter_mut().find(|known| known.split_once('=').map_or(known.as_str(), |p| p.0) == name) {
                Some(known) => *known = variable,
                None => env.push(variable),
            }
        }
        self.state.record(pairs_text("ENV", &pairs));
        Ok(())
    }

    pub(super) fn label(&mut self, pairs: &[KeyValue]) -> Checked<()> {
        let pairs = self.expand_pairs(pairs)?;
        let created_by = pairs_text("LABEL", &pairs);
        self.state.config.config.labels.extend(pairs);
        self.state.record(created_by);
        Ok(())
    }

    /// A build argument wins over the default; without either, the global scope's value comes in.
    pub(super) fn arg(&mut self, declarations: &[ArgDeclaration]) -> Checked<()> {
        let mut shown = Vec::new();
        for declaration in declarations {
            let name = &declaration.name.value;
            let value = match (self.build.options.build_args.get(name), &declaration.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(default)?),
                (None, None) => self.build.globals.environment.get(name).map(str::to_owned),
            };
            if let Some(value) = value.as_deref().filter(|_| !NOT_IN_ENVIRONMENT.contains(&name.as_str())) {
                self.state.environment.set(name, value);
            }
            shown.push(value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}")));
            self.state.args.push((name.clone(), value));
        }
        self.state.record(format!("ARG {}", shown.join(" ")));
        Ok(())
    }

    pub(super) fn healthcheck(&mut self, check: &instruction::Healthcheck) {
        let check = to_healthcheck(check);
        let created_by = healthcheck_text(&check);
        self.state.config.config.healthcheck = Some(check);
        self.state.record(created_by);
    }

    pub(super) fn maintainer(&mut self, author: &Word) {
        self.state.config.author = Some(author.value.clone());
        self.state.record(format!("MAINTAINER {}", author.value));
    }

    pub(super) fn shell(&mut self, words: &[Spanned<String>]) {
        let shell = values(words);
        self.state.record(format!("SHELL {}", gotext::list(&shell)));
        self.state.config.config.shell = Some(shell);
    }

    pub(super) fn stopsignal(&mut self, word: &Word) -> Checked<()> {
        let text = self.expand(word)?;
        if !signal::is_valid(&text) {
            let error = Diagnostic::error("invalid-signal", format!("invalid signal: {text}"), word.span);
            return Err(Box::new(error.with_suggestion(signal::suggestion(&text).as_deref())));
        }
        self.state.record(format!("STOPSIGNAL {text}"));
        self.state.config.config.stop_signal = Some(text);
        Ok(())
    }

    pub(super) fn user(&mut self, word: &Word) -> Checked<()> {
        let user = self.expand(word)?;
        self.state.record(format!("USER {user}"));
        self.state.config.config.user = user;
        Ok(())
    }

    pub(super) fn volume(&mut self, words: &[Word]) -> Checked<()> {
        let mut paths = Vec::with_capacity(words.len());
        for word in words {
            let path = self.expand(word)?;
            if path.is_empty() {
                let message = "VOLUME specified can not be an empty string";
                return Err(Box::new(Diagnostic::error("empty-volume", message, word.span)));
            }
            paths.push(path);
        }
        self.state.record(format!("VOLUME {}", gotext::list(&paths)));
        let volumes = &mut self.state.config.config.volumes;
        volumes.extend(paths.into_iter().map(|path| (path, Value::Object(serde_json::Map::new()))));
        Ok(())
    }

    fn expand_pairs(&mut self, pairs: &[KeyValue]) -> Checked<Vec<(String, String)>> {
        pairs.iter().map(|pair| Ok((self.expand(&pair.key)?, self.expand(&pair.value)?))).collect()
    }
}

fn values(words: &[Spanned<String>]) -> Vec<String> {
    words.iter().map(|word| word.value.clone()).collect()
}

fn pairs_text(keyword: &str, pairs: &[(String, String)]) -> String {
    let mut words = vec![keyword.to_owned()];
    words.extend(pairs.iter().map(|(name, value)| format!("{name}={value}")));
    words.join(" ")
}

fn to_healthcheck(check: &instruction::Healthcheck) -> Healthcheck {
    let instruction::Healthcheck::Command {
        command,
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
    } = check
    else {
        return Healthcheck { test: Some(vec!["NONE".to_owned()]), ..Healthcheck::default() };
    };
    let test = match command {
        CommandLine::Shell { text } => vec!["CMD-SHELL".to_owned(), text.value.clone()],
        CommandLine::Exec(words) => std::iter::once("CMD".to_owned()).chain(values(words)).collect(),
    };
    let nanoseconds = |option: &Option<Spanned<i64>>| option.as_ref().map_or(0, |value| value.value);
    Healthcheck {
        test: Some(test),
        interval: nanoseconds(interval),
        timeout: nanoseconds(timeout),
        start_period: nanoseconds(start_period),
        start_interval: nanoseconds(start_interval),
        retries: retries.as_ref().map_or(0, |value| value.value),
    }
}

fn healthcheck_text(check: &Healthcheck) -> String {
    format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        gotext::list(check.test.as_deref().unwrap_or_default()),
        gotext::duration(check.interval),
        gotext::duration(check.timeout),
        gotext::duration(check.start_period),
        gotext::duration(check.start_interval),
        check.retries
    )
}
