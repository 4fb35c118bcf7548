//! Names of signals, for STOPSIGNAL.
//!
//! Source: signal(7), with the names that Docker accepts (`SIG` may be left out, case does not matter).

use kiln_parser::suggest;

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Largest distance from RTMIN upwards and from RTMAX downwards that has a name of its own.
const ABOVE_RTMIN: u32 = 15;
const BELOW_RTMAX: u32 = 14;

/// Whether `text` is a signal: a number other than 0, or a name.
pub(super) fn is_valid(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |prefix: &str, most: u32| {
        name.strip_prefix(prefix).is_some_and(|digits| {
            !digits.starts_with(['0', '+']) && digits.parse::<u32>().is_ok_and(|offset| offset <= most)
        })
    };
    NAMES.contains(&name) || offset("RTMIN+", ABOVE_RTMIN) || offset("RTMAX-", BELOW_RTMAX)
}

/// The name that was most likely meant.
pub(super) fn suggestion(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    suggest::nearest(name, NAMES.iter().copied()).map(|meant| format!("SIG{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_numbers_and_names() {
        for text in ["9", "SIGTERM", "TERM", "sigquit", "RTMIN+3", "SIGRTMAX-14", "SIGRTMIN", "77"] {
            assert!(is_valid(text), "{text}");
        }
        for text in ["0", "", "SIG", "TERMINATE", "RTMIN+16", "RTMAX-15", "RTMIN+0", "RTMIN-1", "9 "] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
