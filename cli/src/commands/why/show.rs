//! The account of a build, and of one step, as text. Pure.

use jiff::Timestamp;
use kiln_builder::account::{About, BuildAccount, Change, StepAccount, StepOutcome};

use super::ComparedPart;
use crate::output::{size, table};

/// The widest name of a step in the table.
const NAME: usize = 60;

/// The widest value of a part.
const VALUE: usize = 72;

/// How many changed files are listed; the others are counted, and all are in the JSON.
const FILES: usize = 200;

/// All steps in a table, and what it comes to.
pub fn build(account: &BuildAccount) -> String {
    let head = ["STEP", "RESULT", "TIME", "LAYER", "WHY"].map(str::to_owned).to_vec();
    let shown = account.steps.iter().filter(|step| is_shown(step));
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(shown.map(row)).collect();
    let end = if account.succeeded { "" } else { "; the build failed" };
    format!(
        "Last build of {}, {}, in {}: {}{end}\n\n{}",
        account.project,
        date(account.began),
        time(account.milliseconds),
        counts(account),
        table::to_text(&rows),
    )
}

/// What the builder does for itself is of interest only when it was not cached.
fn is_shown(step: &StepAccount) -> bool {
    !step.name.starts_with("[internal]") || !is_answered(step.outcome)
}

fn is_answered(outcome: StepOutcome) -> bool {
    matches!(outcome, StepOutcome::Cached | StepOutcome::Imported)
}

fn row(step: &StepAccount) -> Vec<String> {
    let time = step.milliseconds.map(time);
    // The time of a cached step is what it took when it was executed: it was saved.
    let time = match time {
        Some(time) if is_answered(step.outcome) => format!("({time})"),
        Some(time) => time,
        None => "-".to_owned(),
    };
    let layer = step.size.map_or_else(|| "-".to_owned(), size::short);
    let why = step.reason.clone().unwrap_or_else(|| "-".to_owned());
    vec![cut(&step.name, NAME), word(step.outcome).to_owned(), time, layer, why]
}

fn word(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Cached => "cached",
        StepOutcome::Imported => "imported",
        StepOutcome::Executed => "executed",
        StepOutcome::Failed => "failed",
        StepOutcome::Refused => "refused",
        StepOutcome::NotReached => "not reached",
    }
}

fn counts(account: &BuildAccount) -> String {
    let mut texts = Vec::new();
    let written = || account.steps.iter().filter(|step| !step.name.starts_with("[internal]"));
    for outcome in [
        StepOutcome::Executed,
        StepOutcome::Cached,
        StepOutcome::Imported,
        StepOutcome::Failed,
        StepOutcome::Refused,
        StepOutcome::NotReached,
    ] {
        let count = written().filter(|step| step.outcome == outcome).count();
        if count > 0 {
            texts.push(format!("{count} {}", word(outcome)));
        }
    }
    let saved = written().filter(|step| is_answered(step.outcome)).filter_map(|step| step.milliseconds).sum();
    let saved = if saved > 0 { format!(", which saved {}", time(saved)) } else { String::new() };
    if texts.is_empty() { "no steps".to_owned() } else { format!("{}{saved}", texts.join(", ")) }
}

/// One step in full.
pub fn step(step: &StepAccount, parts: Option<&[ComparedPart]>) -> String {
    let mut text = format!("{}\n\n{}\n", step.name, outcome(step));
    if let Some(reason) = &step.reason {
        text.extend(["It was not cached: ", reason, ".\n"]);
    }
    if let Some(previous) = &step.previous {
        let (date, took) = (date(previous.created), time(previous.milliseconds));
        text.extend(["It is compared with the result of ", &date, ", which took ", &took, ".\n"]);
    }
    text.push_str(&changes(step));
    text.push_str(&all_parts(step, parts));
    text
}

fn outcome(step: &StepAccount) -> String {
    let layer = match (&step.layer, step.size) {
        (Some(layer), Some(bytes)) => format!("\nIts layer is {layer}, {}.", size::short(bytes)),
        (Some(layer), None) => format!("\nIts layer is {layer}."),
        _ => String::new(),
    };
    let made = step.created.zip(step.milliseconds).map(|(at, took)| (date(at), time(took)));
    let said = match (step.outcome, made) {
        (StepOutcome::Executed, Some((_, took))) => format!("It was executed, in {took}."),
        (StepOutcome::Cached, Some((at, took))) => {
            format!("It was cached: the result was made {at}, in {took}.")
        }
        (StepOutcome::Imported, Some((at, took))) => {
            format!("A shared cache had it: the result was made {at}, in {took}.")
        }
        (StepOutcome::Failed, _) => "It was executed, and has no result.".to_owned(),
        (StepOutcome::Refused, _) => "It was not executed: it had to be cached.".to_owned(),
        (StepOutcome::NotReached, _) => "The build ended before it.".to_owned(),
        (outcome, None) => format!("It was {}.", word(outcome)),
    };
    format!("{said}{layer}")
}

fn changes(step: &StepAccount) -> String {
    if step.changes.is_empty() {
        return String::new();
    }
    let (files, others): (Vec<&Change>, Vec<&Change>) =
        step.changes.iter().partition(|change| change.about == About::File);
    let mut text = String::new();
    if !others.is_empty() {
        text.push_str("\nWhat changed:\n");
        for change in others {
            text.extend(["  ", &change.text, "\n"]);
            if change.about == About::Instruction {
                text.push_str(&sides(change));
            }
        }
    }
    if !files.is_empty() {
        text.push_str("\nFiles that changed:\n");
        let rows: Vec<Vec<String>> = files.iter().take(FILES).map(|change| file(change)).collect();
        text.push_str(&indented(&table::to_text(&rows)));
        let more = step.more_changes + files.len().saturating_sub(FILES);
        if more > 0 {
            text.extend(["  and ", &more.to_string(), " more\n"]);
        }
    }
    text
}

/// Both sides of a change in full.
fn sides(change: &Change) -> String {
    let line = |sign: &str, value: Option<&String>| {
        value.map_or_else(String::new, |value| format!("    {sign} {value}\n"))
    };
    line("-", change.before.as_ref()) + &line("+", change.after.as_ref())
}

fn file(change: &Change) -> Vec<String> {
    let side = |value: Option<&String>| cut(value.map_or("(none)", String::as_str), VALUE);
    let compared = format!("{} -> {}", side(change.before.as_ref()), side(change.after.as_ref()));
    vec![change.text.clone(), compared]
}

fn all_parts(step: &StepAccount, parts: Option<&[ComparedPart]>) -> String {
    let Some(parts) = parts else {
        return match step.outcome {
            StepOutcome::Cached | StepOutcome::Imported | StepOutcome::Executed => {
                "\nIts record is no longer in the store: what its key was made of cannot be told.\n"
                    .to_owned()
            }
            _ => String::new(),
        };
    };
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| {
            let value = |value: &Option<String>| {
                cut(
                    value
                        .as_deref()
                        .map_or("(none)", |value| if value.is_empty() { "(empty)" } else { value }),
                    VALUE,
                )
            };
            let (before, after) = (value(&part.before), value(&part.after));
            let changed = part.before != part.after;
            let shown = if changed { format!("{before} -> {after}") } else { after };
            vec![format!("{} {}", if changed { "*" } else { " " }, part.name), shown]
        })
        .collect();
    let star = if parts.iter().any(|part| part.before != part.after) { " (* changed)" } else { "" };
    format!("\nEverything that counts{star}:\n{}", indented(&table::to_text(&rows)))
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line.trim_end(), "\n"]).collect()
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn time(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds}ms"),
        // Whole tenths: what is below does not matter at this scale.
        1000..60_000 => format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{}m{:02}s", milliseconds / 60_000, milliseconds / 1000 % 60),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
