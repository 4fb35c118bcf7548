//! `--call`: questions about a Dockerfile that are answered without a build.
//!
//! Source of the spellings: the reference of `docker buildx build --call`.

use clap::ValueEnum;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What is wrong with it.
    Check,
    /// What its target can be given.
    Outline,
    /// Which targets it has.
    Targets,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AnswerFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `NAME[,format=FORMAT][,ignorestatus=BOOL]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallSpec {
    /// `None`: build.
    pub question: Option<Question>,
    /// `None`: as the other flags say.
    pub format: Option<AnswerFormat>,
    /// Whether findings leave the exit code at 0.
    pub ignore_status: bool,
}

impl CallSpec {
    /// Reads the value of `--call`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut spec = Self::default();
        let mut names = 0;
        for field in text.split(',').filter(|_| !text.is_empty()) {
            match field.split_once('=') {
                Some(("format", value)) => spec.format = Some(format(value)?),
                Some(("ignorestatus", value)) => spec.ignore_status = truth(value)?,
                Some((name, _)) => {
                    return Err(format!("`{name}` is not known: format and ignorestatus are"));
                }
                None => {
                    spec.question = question(field)?;
                    names += 1;
                }
            }
        }
        if names > 1 {
            Err("only one of build, check, outline and targets is possible".to_owned())
        } else {
            Ok(spec)
        }
    }
}

fn question(name: &str) -> Result<Option<Question>, String> {
    match name {
        "build" => Ok(None),
        "check" | "lint" => Ok(Some(Question::Check)),
        "outline" => Ok(Some(Question::Outline)),
        "targets" => Ok(Some(Question::Targets)),
        other => Err(format!("`{other}` is not known: it may be build, check, outline or targets")),
    }
}

fn format(value: &str) -> Result<AnswerFormat, String> {
    AnswerFormat::from_str(value, false)
        .map_err(|_| format!("format=`{value}` is not known: it may be text or json"))
}

/// The words that Go's `strconv.ParseBool` knows.
fn truth(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!("ignorestatus=`{other}` is not true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(question: Option<Question>, format: Option<AnswerFormat>, ignore_status: bool) -> CallSpec {
        CallSpec { question, format, ignore_status }
    }

    #[test]
    fn dockers_spellings_are_read() {
        let cases = [
            ("", spec(None, None, false)),
            ("build", spec(None, None, false)),
            ("check", spec(Some(Question::Check), None, false)),
            ("lint,format=json", spec(Some(Question::Check), Some(AnswerFormat::Json), false)),
            ("outline,format=text", spec(Some(Question::Outline), Some(AnswerFormat::Text), false)),
            ("format=json,targets", spec(Some(Question::Targets), Some(AnswerFormat::Json), false)),
            ("check,ignorestatus=true", spec(Some(Question::Check), None, true)),
        ];
        for (text, expected) in cases {
            assert_eq!(CallSpec::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases =
            ["describe", "check,outline", "check,format=yaml", "check,colour=1", "check,ignorestatus=so"];
        for text in cases {
            assert!(CallSpec::parse(text).is_err(), "{text}");
        }
    }
}
