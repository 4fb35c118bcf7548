//! Making a history that breaks a rule as short as it can be, and showing it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::oracle::{Failure, Oracle};
use super::state::{Rule, State};

/// How long a shorter one is looked for: what there is by then is shown.
const LONGEST: Duration = Duration::from_mins(2);

/// The shortest history found that still breaks a rule in stores of its own, as text.
pub fn shrink(history: &[State], text: &str) -> String {
    let mut best = history.to_vec();
    let Some(mut failure) = breaks(&best) else {
        return format!("(only after other cases in the same store)\n{}", show(&best, text));
    };
    let began = Instant::now();
    loop {
        if began.elapsed() > LONGEST {
            return show(&best, &failure.text);
        }
        let smaller = candidates(&best).into_iter().find_map(|candidate| {
            let failure = breaks(&candidate)?;
            Some((candidate, failure))
        });
        match smaller {
            Some((candidate, found)) => {
                best = candidate[..=found.at].to_vec();
                failure = found;
            }
            None => return show(&best, &failure.text),
        }
    }
}

fn breaks(history: &[State]) -> Option<Failure> {
    Oracle::new().check(history).err()
}

/// Histories with something less: a state, a stage, a step, a file, an argument, a pattern.
fn candidates(history: &[State]) -> Vec<Vec<State>> {
    let mut found = Vec::new();
    for index in 0..history.len().saturating_sub(1) {
        let mut shorter = history.to_vec();
        let gone = shorter.remove(index);
        // What is touched on the way to a state that is gone may be what matters.
        shorter[index].touches.splice(0..0, gone.touches);
        if gone.rule != Rule::Nothing {
            shorter[index].rule = Rule::Anything;
        }
        found.push(shorter);
    }
    for stage in ids(history, |state| state.stages.iter().map(|stage| stage.id).collect()) {
        found.push(without(history, |state| state.stages.retain(|known| known.id != stage)));
    }
    let steps = |state: &State| {
        state.stages.iter().flat_map(|stage| stage.steps.iter().map(|step| step.id)).collect()
    };
    for step in ids(history, steps) {
        found.push(without(history, |state| {
            for stage in &mut state.stages {
                stage.steps.retain(|known| known.id != step);
            }
        }));
    }
    for path in ids(history, |state| state.context.keys().cloned().collect()) {
        let beneath = format!("{path}/");
        found.push(without(history, |state| {
            state.context.retain(|known, _| *known != path && !known.starts_with(&beneath));
        }));
    }
    for pattern in ids(history, |state| state.ignore.clone()) {
        found.push(without(history, |state| state.ignore.retain(|known| *known != pattern)));
    }
    found.retain(|candidate| candidate.iter().all(is_whole));
    found
}

fn ids<T: Ord>(history: &[State], of: impl Fn(&State) -> Vec<T>) -> std::collections::BTreeSet<T> {
    history.iter().flat_map(of).collect()
}

fn without(history: &[State], change: impl Fn(&mut State)) -> Vec<State> {
    let mut history = history.to_vec();
    history.iter_mut().for_each(change);
    history
}

/// Nothing in it speaks of what is gone.
fn is_whole(state: &State) -> bool {
    use super::state::{Base, Kind, Touch};
    let has = |id: &usize| state.stages.iter().any(|stage| stage.id == *id);
    let bases = state.stages.iter().all(|stage| !matches!(&stage.base, Base::Stage(id) if !has(id)));
    let named = state.stages.iter().flat_map(|stage| &stage.steps).all(|step| step.stages.iter().all(has));
    let links = state.context.values().all(|file| match &file.kind {
        Kind::Link(target) => state.context.contains_key(target),
        _ => true,
    });
    let touched = state.touches.iter().all(|touch| {
        let (Touch::Time(path, _) | Touch::Owner(path, _) | Touch::Again(path)) = touch;
        state.context.contains_key(path)
    });
    !state.stages.is_empty() && bases && named && links && touched
}

fn show(history: &[State], text: &str) -> String {
    let mut shown = String::new();
    let mut before = State::default();
    for (number, state) in history.iter().enumerate() {
        writeln!(shown, "--- build {number}, may execute {:?}", state.rule).unwrap();
        if state.dockerfile() != before.dockerfile() {
            shown.push_str(&state.dockerfile());
        }
        writeln!(shown, "args {:?} label {:?} ignore {:?}", state.args, state.label, state.ignore).unwrap();
        for (path, file) in &state.context {
            if before.context.get(path) != Some(file) {
                writeln!(shown, "  {path}: {:?} {:o} {:?}", file.kind, file.mode, file.xattr).unwrap();
            }
        }
        for path in before.context.keys().filter(|path| !state.context.contains_key(*path)) {
            writeln!(shown, "  {path}: gone").unwrap();
        }
        for touch in &state.touches {
            writeln!(shown, "  {touch:?}").unwrap();
        }
        before = state.clone();
    }
    format!("{shown}=> {text}")
}
