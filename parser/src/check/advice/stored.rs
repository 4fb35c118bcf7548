//! Files that a later step changes only in mode or owner: the image then holds them twice.

use std::collections::HashMap;

use crate::diagnostic::Diagnostic;
use crate::instruction::FileSource;
use crate::span::Span;

/// What COPY and ADD have put where, in one stage.
#[derive(Default)]
pub(super) struct Copied {
    /// The working directory; `None` when it is not known.
    directory: Option<String>,
    /// Each path with the keyword of the instruction that wrote it.
    paths: HashMap<String, &'static str>,
}

impl Copied {
    /// Follows a WORKDIR.
    pub fn enter(&mut self, written: &str) {
        self.directory = self.absolute(written);
    }

    /// Remembers the paths that `sources` get.
    pub fn add(&mut self, keyword: &'static str, sources: &[FileSource], destination: &str) {
        let Some(target) = self.absolute(destination) else { return };
        if !destination.ends_with('/') {
            self.paths.insert(target, keyword);
            return;
        }
        for source in sources {
            let name = match source {
                FileSource::Path(path) => {
                    path.value.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
                }
                FileSource::Heredoc(heredoc) => &heredoc.name,
            };
            let path = if matches!(name, "" | ".") {
                target.clone()
            } else {
                format!("{}/{name}", target.trim_end_matches('/'))
            };
            if is_literal(&path) {
                self.paths.insert(path, keyword);
            }
        }
    }

    /// A chmod or chown of something that was copied; `words` is the command, `span` its place.
    pub fn stored_twice(&self, words: &[&str], span: Span) -> Option<Diagnostic> {
        let (program, rest) = words.split_first()?;
        let flag = match *program {
            "chmod" | "/bin/chmod" => "--chmod",
            "chown" | "/bin/chown" => "--chown",
            _ => return None,
        };
        let operands = rest.iter().filter(|word| !word.starts_with('-')).skip(1);
        let mut paths = operands.filter_map(|operand| self.absolute(operand));
        let (path, keyword) = paths.find_map(|path| self.paths.get_key_value(&path))?;
        let message = format!("{path} is stored twice: by {keyword}, and again with what {program} changes");
        let note = Diagnostic::note("stored-twice", message, span);
        Some(note.with_help(format!("give {keyword} the flag {flag}, and drop the {program}")))
    }

    /// The path in full, if nothing in it has to be expanded.
    fn absolute(&self, written: &str) -> Option<String> {
        if !is_literal(written) {
            return None;
        }
        let base = if written.starts_with('/') { "" } else { self.directory.as_deref()? };
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in written.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Some(format!("/{}", parts.join("/")))
    }
}

fn is_literal(text: &str) -> bool {
    !text.contains(['$', '*', '?', '[', '\\', '"', '\'', '`', '~'])
}

#[cfg(test)]
mod tests {
    use crate::check::advice::advice;
    use crate::parse;

    fn messages(rest: &str) -> Vec<String> {
        let source = format!("FROM a\n{rest}");
        advice(&source, &parse(&source).dockerfile, None).into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn a_change_of_mode_or_owner_stores_a_file_again() {
        let found = messages("COPY run.sh /run.sh\nRUN echo x && chmod +x /run.sh\n");
        assert_eq!(found, ["/run.sh is stored twice: by COPY, and again with what chmod changes"]);
        for rest in [
            "COPY a/run.sh /bin/\nRUN chmod 755 /bin/run.sh\n",
            "WORKDIR /app\nCOPY . .\nRUN chown -R me:me /app\n",
            "WORKDIR /app\nADD x y\nRUN chown me ./y\n",
            "COPY <<run.sh /bin/\nx\nrun.sh\nRUN chmod +x /bin/run.sh\n",
        ] {
            assert_eq!(messages(rest).len(), 1, "{rest}");
        }
    }

    #[test]
    fn other_files_and_what_is_not_known_are_left_alone() {
        for rest in [
            "COPY run.sh /run.sh\nRUN chmod +x /other.sh\n",
            "COPY . .\nRUN chown -R me .\n",
            "COPY $a /x\nRUN chmod +x $a\n",
            "COPY a /x/\nRUN chmod +x /x\n",
            "COPY a /x\nFROM b\nRUN chmod +x /x\n",
            "COPY a /x\nRUN ls /x && chmod 755\n",
        ] {
            assert_eq!(messages(rest), Vec::<String>::new(), "{rest}");
        }
    }
}
