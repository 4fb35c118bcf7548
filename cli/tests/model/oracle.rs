//! The rules that kiln's answers are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::state::{Rule, State};
use super::world::{Built, Image, Step, Worlds};

/// A rule that was broken.
#[derive(Debug)]
pub struct Failure {
    /// The number of the state in its history.
    pub at: usize,
    pub text: String,
}

/// What happened, to show that something did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    builds: usize,
    failed: usize,
    cached: usize,
    executed: usize,
}

/// Two stores and what is known of the builds in them.
pub struct Oracle {
    worlds: Worlds,
    /// Fingerprints of states that were built.
    built: BTreeSet<String>,
    /// What commands saw when they were executed last, by stage and text.
    seen: BTreeMap<(String, String), String>,
    /// Whether the last build gave an image.
    complete: bool,
    counts: Counts,
}

impl Oracle {
    pub fn new() -> Oracle {
        let (built, seen) = (BTreeSet::new(), BTreeMap::new());
        Oracle { worlds: Worlds::new(), built, seen, complete: false, counts: Counts::default() }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Builds the states in order.
    pub fn check(&mut self, history: &[State]) -> Result<(), Failure> {
        for (at, state) in history.iter().enumerate() {
            self.step(state, at == 0).map_err(|text| Failure { at, text })?;
        }
        Ok(())
    }

    fn step(&mut self, state: &State, is_first: bool) -> Result<(), String> {
        self.worlds.write(state);
        let context = self.worlds.context().to_owned();
        let answered = self.worlds.remembers.build(state, &context);
        let executed = self.worlds.executes.build(state, &context);
        self.count(&answered);
        same(&answered.image, &executed.image)?;
        self.no_command_twice(&answered.steps)?;
        let before = std::mem::replace(&mut self.complete, answered.image.is_ok());
        if answered.image.is_err() {
            return Ok(());
        }
        let known = !self.built.insert(state.fingerprint());
        let rule = if known { Rule::Nothing } else { state.rule };
        let forbidden = |step: &&Step| match rule {
            Rule::Anything => false,
            Rule::Nothing => true,
            // Beside `--chmod`, `--link` says nothing.
            Rule::NoLinks => step.text.contains("--link") && !step.text.contains("--chmod"),
        };
        // An edit's rule speaks of the state before it, which must have been built.
        let mut executed = answered.steps.iter().filter(|step| step.executed);
        match executed.find(forbidden).filter(|_| known || (before && !is_first)) {
            Some(step) => Err(format!("needless miss ({rule:?}) of {} ({})", step.text, step.reason)),
            None => Ok(()),
        }
    }

    /// A command that sees what it saw last was not to be executed.
    fn no_command_twice(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps.iter().filter(|step| step.executed) {
            let name = (step.stage.clone(), step.text.clone());
            let is_one =
                steps.iter().filter(|other| (&other.stage, &other.text) == (&name.0, &name.1)).count() == 1;
            // A step that was stopped because another one failed has left nothing that could answer.
            let Some(saw) = step.saw.clone().filter(|_| is_one && step.done) else {
                self.seen.remove(&name);
                continue;
            };
            if self.seen.insert(name, saw.clone()).is_some_and(|earlier| earlier == saw) {
                return Err(format!("needless miss of {} ({}): it saw nothing new", step.text, step.reason));
            }
        }
        Ok(())
    }

    fn count(&mut self, built: &Built) {
        self.counts.builds += 1;
        self.counts.failed += usize::from(built.image.is_err());
        let executed = built.steps.iter().filter(|step| step.executed).count();
        self.counts.executed += executed;
        self.counts.cached += built.steps.iter().filter(|step| step.cached).count();
    }
}

/// The two images must be equal, or missing for the same reason.
fn same(answered: &Result<Image, String>, executed: &Result<Image, String>) -> Result<(), String> {
    match (answered, executed) {
        (Ok(answered), Ok(executed)) => {
            if answered.config != executed.config {
                return Err(format!("wrong configuration\n- {}\n+ {}", executed.config, answered.config));
            }
            if answered.tree == executed.tree {
                return Ok(());
            }
            let (have, want): (BTreeSet<_>, BTreeSet<_>) =
                (answered.tree.iter().collect(), executed.tree.iter().collect());
            let lines = want.difference(&have).map(|line| format!("\n- {line}"));
            let lines = lines.chain(have.difference(&want).map(|line| format!("\n+ {line}")));
            Err(format!("wrong hit:{}", lines.collect::<String>()))
        }
        (Err(_), Err(_)) => Ok(()),
        (Ok(_), Err(error)) => Err(format!("wrong hit: execution fails: {error}")),
        (Err(error), Ok(_)) => Err(format!("wrong failure: {error}")),
    }
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.builds += other.builds;
        self.failed += other.failed;
        self.cached += other.cached;
        self.executed += other.executed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { builds, failed, cached, executed } = self;
        write!(
            f,
            "{builds} builds ({failed} failed, as they should), {cached} steps cached, {executed} executed"
        )
    }
}
