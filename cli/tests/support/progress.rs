//! kiln's plain progress, read back: which steps there were, how each ended and what it wrote.

use std::collections::BTreeMap;

/// The steps of a build, in the order in which they began.
#[derive(Debug, Default)]
pub struct Steps {
    steps: BTreeMap<u32, Step>,
}

/// One step.
#[derive(Debug, Default)]
pub struct Step {
    /// `[2/3] RUN make`.
    pub name: String,
    /// Every later line: output, remarks and the ending.
    pub lines: Vec<String>,
}

impl Steps {
    /// Reads lines of the form `#NUMBER TEXT`; others are not progress.
    pub fn read(text: &str) -> Steps {
        let mut steps = Steps::default();
        let lines = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once(' '));
        for (number, rest) in lines.filter_map(|(number, rest)| Some((number.parse::<u32>().ok()?, rest))) {
            let step: &mut Step = steps.steps.entry(number).or_default();
            if step.name.is_empty() {
                rest.clone_into(&mut step.name);
            } else {
                step.lines.push(rest.to_owned());
            }
        }
        steps
    }

    /// The one step whose name contains this.
    #[track_caller]
    pub fn step(&self, part: &str) -> &Step {
        let mut found = self.steps.values().filter(|step| step.name.contains(part));
        let first = found.next().unwrap_or_else(|| panic!("no step `{part}` in {self:#?}"));
        assert!(found.next().is_none(), "several steps `{part}` in {self:#?}");
        first
    }

    /// The names of the steps with an instruction that were executed.
    pub fn executed(&self) -> Vec<&str> {
        let instructions = self
            .steps
            .values()
            .filter(|step| ["RUN ", "COPY ", "ADD ", "WORKDIR "].iter().any(|i| step.name.contains(i)));
        instructions.filter(|step| !step.is_cached()).map(|step| step.name.as_str()).collect()
    }
}

impl Step {
    /// Whether the cache had it.
    pub fn is_cached(&self) -> bool {
        self.lines.iter().any(|line| line == "CACHED")
    }
}
