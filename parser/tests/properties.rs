//! What holds for every text whatsoever: nothing panics, nothing is lost, every span is in the text.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_parser::check::advice;
use kiln_parser::comments::Comments;
use kiln_parser::expand::{Lex, NothingSet};
use kiln_parser::instruction::{Command, CommandLine, FileSource, Heredoc, Instruction};
use kiln_parser::{Checks, Parsed, Span, dockerignore, parse, render, syntax};
use proptest::prelude::*;

/// Pieces of which Dockerfiles are made, so that random ones get past the first keyword.
const PIECES: &[&str] = &[
    "FROM a",
    " AS b",
    "RUN ",
    "COPY ",
    "ADD ",
    "ENV ",
    "LABEL ",
    "ARG ",
    "CMD ",
    "ENTRYPOINT ",
    "SHELL ",
    "VOLUME ",
    "USER ",
    "WORKDIR ",
    "EXPOSE ",
    "STOPSIGNAL ",
    "MAINTAINER ",
    "HEALTHCHECK ",
    "ONBUILD ",
    "NONE",
    "CMD",
    "--mount=",
    "type=cache,",
    "target=/x",
    "--from=",
    "--link",
    "--interval=",
    "1m.5s",
    "--",
    "<<EOF",
    "<<-'E'",
    "EOF",
    "E",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\\\n",
    "\\",
    "`",
    "# escape=`\n",
    "# syntax=x\n",
    "# check=skip=all\n",
    "# check=experimental=all\n",
    "chmod x /x\n",
    "npm ci ",
    "# a ",
    "#",
    "//",
    " ",
    "\t",
    "\"",
    "'",
    "[",
    "]",
    "[\"a\", \"b\"]",
    ",",
    "=",
    "a=b",
    "$",
    "${",
    "}",
    "${a:-",
    "${a#*",
    "${a//b/",
    "é",
    "日",
    "\u{feff}",
    "\u{85}",
    "\u{a0}",
    "\u{0}",
    "x",
    "{",
    "\"syntax\":",
];

fn dockerfile() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![dockerfile(), dockerfile(), any::<String>(), "[ -~\n\t\\\\]{0,120}"]
}

fn check(source: &str, span: Span) {
    assert!(span.start <= span.end, "{span:?} of {source:?}");
    assert!(source.get(span.range()).is_some(), "{span:?} of {source:?}");
}

fn heredoc(source: &str, heredoc: &Heredoc) {
    check(source, heredoc.marker);
    check(source, heredoc.body.span);
    if !heredoc.strip_tabs {
        assert_eq!(&source[heredoc.body.span.range()], heredoc.body.value);
    }
}

fn line(source: &str, line: &CommandLine) {
    match line {
        CommandLine::Shell { text } => check(source, text.span),
        CommandLine::Exec(members) => members.iter().for_each(|member| check(source, member.span)),
    }
}

fn files(source: &str, sources: &[FileSource]) {
    for file in sources {
        match file {
            FileSource::Path(word) => check(source, word.span),
            FileSource::Heredoc(body) => heredoc(source, body),
        }
    }
}

fn instruction(source: &str, instruction: &Instruction) {
    check(source, instruction.span);
    check(source, instruction.keyword);
    match &instruction.command {
        Command::Add(add) => files(source, &add.sources),
        Command::Copy(copy) => files(source, &copy.sources),
        Command::Run(run) => {
            line(source, &run.command);
            run.heredocs.iter().for_each(|body| heredoc(source, body));
            run.mounts.iter().for_each(|mount| check(source, mount.span));
        }
        Command::Cmd(command) | Command::Entrypoint(command) => line(source, command),
        Command::Env(pairs) | Command::Label(pairs) => {
            for pair in pairs {
                check(source, pair.key.span.to(pair.value.span));
            }
        }
        Command::Onbuild(onbuild) => self::instruction(source, &onbuild.trigger),
        _ => {}
    }
}

fn every_span(source: &str, parsed: &Parsed) {
    parsed.diagnostics.iter().for_each(|diagnostic| check(source, diagnostic.span));
    for directive in &parsed.dockerfile.directives {
        assert_eq!(&source[directive.name.span.range()].to_ascii_lowercase(), &directive.name.value);
        check(source, directive.value.span);
    }
    for stage in &parsed.dockerfile.stages {
        check(source, stage.span);
        check(source, stage.from.span);
        check(source, stage.from.base.span);
        stage.instructions.iter().for_each(|one| instruction(source, one));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics_and_spans_are_in_the_text(source in any_text()) {
        let parsed = parse(&source);
        every_span(&source, &parsed);
        render(&parsed.diagnostics, &source, "Dockerfile", false);
        for found in advice(&source, &parsed.dockerfile, None) {
            check(&source, found.span);
        }
        Comments::new(&source).description(Span::new(0, source.len()), "a");
    }

    #[test]
    fn a_text_without_errors_has_a_stage(source in any_text()) {
        let parsed = parse(&source);
        prop_assert!(parsed.has_errors() || !parsed.dockerfile.stages.is_empty());
    }

    #[test]
    fn the_tree_holds_every_byte_once(source in any_text()) {
        let mut at = 0;
        for item in syntax::tree(&source).items {
            prop_assert_eq!(item.extent().start, at);
            at = item.extent().end;
        }
        prop_assert_eq!(at, source.len());
    }

    #[test]
    fn diagnostics_stand_in_order_and_checks_are_idempotent(source in any_text()) {
        let parsed = parse(&source);
        prop_assert!(parsed.diagnostics.is_sorted_by_key(|diagnostic| diagnostic.span));
        let again = Checks::new(&source, None).apply(parsed.diagnostics.clone());
        prop_assert_eq!(again, parsed.diagnostics);
    }

    #[test]
    fn expansion_never_panics_and_its_errors_are_in_the_word(word in any_text(), backtick in any::<bool>()) {
        let lex = Lex::new(if backtick { '`' } else { '\\' });
        for result in [lex.expand_word(&word, &NothingSet), lex.expand_raw(&word, &NothingSet)] {
            if let Err(error) = result {
                prop_assert!(word.get(error.range.clone()).is_some(), "{:?} of {:?}", error, word);
            }
        }
        let one = lex.expand_word(&word, &NothingSet).ok().map(|expanded| expanded.unset);
        let many = lex.expand_words(&word, &NothingSet).ok().map(|expanded| expanded.unset);
        prop_assert_eq!(one, many);
        lex.expand_display(&word, &NothingSet);
    }

    #[test]
    fn words_without_anything_special_are_their_own_value(word in "[a-zA-Z0-9/._: é-]{0,40}") {
        prop_assert_eq!(Lex::new('\\').expand_word(&word, &NothingSet).unwrap().value, word);
    }

    #[test]
    fn patterns_of_dockerignore_are_clean_already(text in any_text()) {
        for line in dockerignore::parse(&text) {
            // In `./!/x` the mark is a name, although it looks like a negation once it is clean.
            let negated = line.pattern.strip_prefix('!').filter(|rest| *rest == "/" || !rest.starts_with('/'));
            let path = negated.unwrap_or(&line.pattern);
            let whole = matches!(path, "" | "." | "/");
            prop_assert!(whole || path.split('/').all(|part| !part.is_empty() && part != "."), "{:?}", path);
        }
    }
}
