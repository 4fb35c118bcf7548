//! `RUN --device`: which devices a process is given, and `RUN --security`.
//!
//! The form is BuildKit's: `NAME`, `name=NAME`, `NAME,required`, `required=BOOL`. Which devices there are is known where
//! the process runs.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{Run, Security as Written, Word};
use kiln_parser::suggest;

use super::stage::StageLowering;
use crate::entitlement::Entitlement;
use crate::op::{Device, Security};

/// The option that says that a process cannot do without the device.
const REQUIRED: &str = "required";

impl StageLowering<'_, '_> {
    /// The devices of a RUN; mistakes are reported, each of them.
    pub(super) fn devices(&mut self, run: &Run) -> Vec<Device> {
        let mut devices: Vec<Device> = Vec::with_capacity(run.devices.len());
        for word in &run.devices {
            match parse(word) {
                Ok(device) => {
                    let granted = &self.build.options.entitlements.devices;
                    devices.push(Device { name: granted.real_name(&device.name).to_owned(), ..device });
                }
                Err(diagnostic) => self.report(*diagnostic),
            }
        }
        devices
    }

    /// How far a RUN is confined; without the entitlement that is a mistake.
    pub(super) fn security(&mut self, run: &Run) -> Security {
        let Some(written) = &run.security else { return Security::Sandbox };
        match written.value {
            Written::Sandbox => Security::Sandbox,
            Written::Insecure => {
                let options = self.build.options;
                if !options.entitlements.security_insecure && !options.check {
                    let needed = Entitlement::SecurityInsecure;
                    let message = format!("RUN --security=insecure needs the entitlement {needed}");
                    let help = format!(
                        "grant it with `--allow {needed}`: the command then may do to this machine whatever kiln may"
                    );
                    self.report(Diagnostic::error(NOT_ENTITLED, message, written.span).with_help(help));
                }
                Security::Insecure
            }
        }
    }
}

/// The code of what asks for more than the build was granted.
pub(super) const NOT_ENTITLED: &str = "entitlement-required";

fn parse(word: &Word) -> Result<Device, Box<Diagnostic>> {
    let invalid = |message: String| Box::new(Diagnostic::error("invalid-flag-value", message, word.span));
    let mut device = Device { name: String::new(), required: false };
    for field in word.value.split(',') {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        match (key.to_ascii_lowercase().as_str(), value) {
            (REQUIRED, None) => device.required = true,
            (REQUIRED, Some(value)) => {
                device.required = boolean(value)
                    .ok_or_else(|| invalid(format!("invalid value for {REQUIRED}: \"{value}\"")))?;
            }
            ("name", Some(value)) if device.name.is_empty() => value.clone_into(&mut device.name),
            ("name", Some(_)) => {
                return Err(invalid(format!("the device has two names: \"{}\"", word.value)));
            }
            // A full name holds a `=` of its own.
            _ if device.name.is_empty() => field.clone_into(&mut device.name),
            (key, _) => {
                let message = format!("unexpected \"{field}\" after the name of the device");
                let diagnostic = Diagnostic::error("invalid-flag-value", message, word.span);
                return Err(Box::new(match suggest::nearest(key, [REQUIRED]) {
                    Some(candidate) => diagnostic.with_suggestion(Some(candidate)),
                    None => diagnostic.with_help(format!("only `{REQUIRED}` may follow")),
                }));
            }
        }
    }
    if device.name.is_empty() {
        return Err(invalid("RUN --device names no device".to_owned()));
    }
    Ok(device)
}

/// The spellings of Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kiln_parser::span::{Span, Spanned};

    use super::*;

    fn parsed(text: &str) -> Result<(String, bool), String> {
        let word: Word = Spanned::new(text.to_owned(), Span::default());
        parse(&word).map(|device| (device.name, device.required)).map_err(|diagnostic| diagnostic.message)
    }

    #[test]
    fn every_form_of_a_device() {
        for (text, name, required) in [
            ("gpu", "gpu", false),
            ("vendor.com/gpu=0", "vendor.com/gpu=0", false),
            ("vendor.com/gpu=*,required", "vendor.com/gpu=*", true),
            ("required,vendor.com/gpu", "vendor.com/gpu", true),
            ("name=vendor.com/gpu=0,required=false", "vendor.com/gpu=0", false),
            ("NAME=gpu,REQUIRED=1", "gpu", true),
        ] {
            assert_eq!(parsed(text), Ok((name.to_owned(), required)), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("", "names no device"),
            ("required", "names no device"),
            ("gpu,require", "unexpected \"require\""),
            ("gpu,required=maybe", "\"maybe\""),
            ("gpu,name=other", "two names"),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.contains(message), "{text}: {found}");
        }
    }
}
