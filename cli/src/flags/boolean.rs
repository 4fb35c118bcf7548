//! Boolean flags as Go's flag packages read them: `--rm`, `--rm=true`, `--rm=0`, and `-it` for two of them.
//!
//! Scripts written for docker use all of these. Applied once to the finished command tree, so that each
//! flag can be declared as a plain `bool`. Called by [`super::parse`].

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};

/// Turns every switch of the command and its subcommands into a flag with an optional `=VALUE`.
pub fn with_go_booleans(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => optional_value(arg),
        _ => arg,
    });
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_go_booleans))
}

fn optional_value(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(BoolishValueParser::new())
        .value_name("BOOL")
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}
