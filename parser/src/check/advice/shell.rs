//! Simple commands in the text of a RUN: good enough to guess by, no more.

/// The words of each command, without the assignments and `sudo` in front. Quotes stay in the words.
pub(super) fn commands(text: &str) -> Vec<Vec<&str>> {
    let separators = |c: char| matches!(c, ';' | '|' | '&' | '\n' | '(' | ')');
    let commands = text.split(separators).map(|command| {
        let words = command.split_whitespace();
        words.skip_while(|word| *word == "sudo" || *word == "exec" || is_assignment(word)).collect::<Vec<_>>()
    });
    commands.filter(|words| !words.is_empty()).collect()
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn commands_are_cut_at_operators() {
        let text = "A=1 sudo npm ci && (cd x; make -j2) || true | tee y\nls";
        let expected: [&[&str]; 6] =
            [&["npm", "ci"], &["cd", "x"], &["make", "-j2"], &["true"], &["tee", "y"], &["ls"]];
        assert_eq!(commands(text), expected);
        assert!(commands("  && A=1 ;").is_empty());
    }
}
