//! The history of an image: one entry an instruction, in the words that BuildKit uses.

use kiln_parser::expand::Lookup;

use super::stage::StageState;
use crate::image::History;

/// Tools tell images of this frontend by it.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// What BuildKit appends to the instructions that ran something.
const RAN: &str = " # buildkit";

impl StageState {
    /// Records an instruction that changed only the configuration.
    pub fn record(&mut self, created_by: String) {
        self.push_history(created_by, true);
    }

    /// Records a WORKDIR that made a layer.
    pub fn record_directory(&mut self, created_by: String) {
        self.push_history(created_by, false);
    }

    /// Records an instruction that ran or copied something: one layer.
    pub fn record_layer(&mut self, created_by: &str) {
        self.push_history(format!("{created_by}{RAN}"), false);
    }

    /// The text of a RUN: the ARGs in scope with what they were worth, then the command.
    pub fn run_text(&self, args: &[String]) -> String {
        let mut shown: Vec<(&str, &str)> = Vec::new();
        for (name, declared) in &self.args {
            let value = self.environment.get(name).or(declared.as_deref()).unwrap_or_default();
            match shown.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => entry.1 = value,
                None => shown.push((name, value)),
            }
        }
        let mut words = vec!["RUN".to_owned()];
        if !shown.is_empty() {
            words.push(format!("|{}", shown.len()));
            words.extend(shown.iter().map(|(name, value)| format!("{name}={value}")));
        }
        words.extend(args.iter().cloned());
        words.join(" ")
    }

    fn push_history(&mut self, created_by: String, empty_layer: bool) {
        self.config.history.push(History {
            created_by: Some(created_by),
            comment: Some(COMMENT.to_owned()),
            empty_layer,
            ..History::default()
        });
    }
}
