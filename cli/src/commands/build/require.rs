//! `--require-cached`: which steps must not be executed, from the stages that the flag names.

use std::collections::BTreeSet;

use kiln_builder::RequireCached;
use kiln_parser::instruction::Dockerfile;

use crate::error::CliError;
use crate::flags::build::BuildFlags;

/// What may not stand beside the flag.
pub fn check(flags: &BuildFlags) -> Result<(), CliError> {
    if flags.require_cached.is_some() && flags.no_cache {
        let message = "--require-cached and --no-cache contradict each other";
        return Err(CliError::usage_with_hint(message, "leave one of them out"));
    }
    Ok(())
}

/// What the flag asks of the stages of this file. A name that no stage has is an error: a check of nothing would pass.
pub fn read(flags: &BuildFlags, dockerfile: &Dockerfile) -> Result<RequireCached, CliError> {
    let Some(named) = &flags.require_cached else { return Ok(RequireCached::Nothing) };
    let named: Vec<&str> = named.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if named.is_empty() {
        return Ok(RequireCached::Everything);
    }
    let names: Vec<Option<&str>> = dockerfile
        .stages
        .iter()
        .map(|stage| stage.from.name.as_ref().map(|name| name.value.as_str()))
        .collect();
    let mut stages = BTreeSet::new();
    for name in named {
        let is_named = |stage: Option<&str>| stage.is_some_and(|stage| stage.eq_ignore_ascii_case(name));
        let index = names.iter().rposition(|stage| is_named(*stage)).or_else(|| name.parse().ok());
        match index.filter(|index| *index < names.len()) {
            // The steps of an only stage are shown without a name.
            Some(_) if names.len() == 1 => return Ok(RequireCached::Everything),
            Some(index) => {
                stages.insert(names[index].map_or_else(|| format!("stage-{index}"), str::to_owned));
            }
            None => return Err(unknown(name, &names)),
        }
    }
    Ok(RequireCached::Stages(stages))
}

fn unknown(name: &str, names: &[Option<&str>]) -> CliError {
    let there: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| name.map_or_else(|| index.to_string(), str::to_owned))
        .collect();
    CliError::usage_with_hint(
        format!("--require-cached: the Dockerfile has no stage `{name}`"),
        format!("its stages are {}", there.join(", ")),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn required(text: &str, flag: &[&str]) -> Result<RequireCached, CliError> {
        let flags = BuildFlags {
            require_cached: Some(flag.iter().map(|name| (*name).to_owned()).collect()),
            ..BuildFlags::default()
        };
        read(&flags, &kiln_parser::parse_with(text, None).dockerfile)
    }

    const STAGES: &str = "FROM a AS build\nFROM b\nFROM c AS Last\n";

    #[test]
    fn stages_by_name_and_by_number() {
        let stages =
            |names: &[&str]| RequireCached::Stages(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(required(STAGES, &[""]).unwrap(), RequireCached::Everything);
        assert_eq!(required(STAGES, &["BUILD", "1"]).unwrap(), stages(&["build", "stage-1"]));
        assert_eq!(required(STAGES, &["last"]).unwrap(), stages(&["last"]));
        assert_eq!(required("FROM a AS only\n", &["only"]).unwrap(), RequireCached::Everything);
        let nothing = read(&BuildFlags::default(), &kiln_parser::parse_with(STAGES, None).dockerfile);
        assert_eq!(nothing.unwrap(), RequireCached::Nothing);
    }

    #[test]
    fn a_stage_that_is_not_there_is_a_mistake() {
        let error = required(STAGES, &["biuld"]).unwrap_err().to_string();
        assert!(error.contains("no stage `biuld`"), "{error}");
        assert!(required(STAGES, &["3"]).is_err());
    }

    #[test]
    fn no_cache_contradicts_it() {
        let flags =
            BuildFlags { require_cached: Some(vec![String::new()]), no_cache: true, ..BuildFlags::default() };
        assert!(check(&flags).is_err());
    }
}
