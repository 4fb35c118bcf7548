//! Which step of a build is meant: by its number, by stage and number, or by a part of its instruction.

use kiln_builder::account::{BuildAccount, StepAccount};

use crate::error::CliError;

/// The one step that is meant.
pub fn step<'a>(account: &'a BuildAccount, wanted: &str) -> Result<&'a StepAccount, CliError> {
    let fitting = fitting(account, wanted.trim());
    match fitting.as_slice() {
        [step] => Ok(step),
        [] => Err(CliError::usage_with_hint(
            format!("the last build has no step `{wanted}`"),
            "`kiln why` without a step shows all of them",
        )),
        several => {
            let names: Vec<&str> = several.iter().take(5).map(|step| step.name.as_str()).collect();
            let more = if several.len() > 5 { ", …" } else { "" };
            Err(CliError::usage_with_hint(
                format!("`{wanted}` fits {} steps", several.len()),
                format!("write STAGE:NUMBER or more of the instruction; it fits {}{more}", names.join(", ")),
            ))
        }
    }
}

fn fitting<'a>(account: &'a BuildAccount, wanted: &str) -> Vec<&'a StepAccount> {
    let numbered = |stage: Option<&str>, number: usize| {
        let of_stage = move |step: &&StepAccount| {
            let here = stage.is_none_or(|stage| step.stage.eq_ignore_ascii_case(stage));
            here && self::number(&step.name) == Some(number)
        };
        account.steps.iter().filter(of_stage).collect::<Vec<_>>()
    };
    if let Ok(number) = wanted.parse() {
        return numbered(None, number);
    }
    if let Some((stage, number)) = wanted.rsplit_once(':')
        && let Ok(number) = number.parse()
    {
        return numbered(Some(stage), number);
    }
    let exact: Vec<_> = account.steps.iter().filter(|step| step.instruction() == wanted).collect();
    if !exact.is_empty() {
        return exact;
    }
    let wanted = wanted.to_lowercase();
    account.steps.iter().filter(|step| step.name.to_lowercase().contains(&wanted)).collect()
}

/// The number in `[stage 2/4] …`.
fn number(name: &str) -> Option<usize> {
    let (inside, _) = name.strip_prefix('[')?.split_once(']')?;
    inside.split(' ').next_back()?.split_once('/')?.0.parse().ok()
}
