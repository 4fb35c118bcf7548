//! The table of what enters a key (at the head of the cache's documentation), row by row: a change that the cache must answer,
//! and one that it must not.
//!
//! [`ROWS`] says which tests a row has. A row without one fails [`every_row_has_tests`].

mod commands;
mod files;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::workspace;

const COMMANDS: &str = "cli/tests/e2e/key_table/commands.rs";
const FILES: &str = "cli/tests/e2e/key_table/files.rs";
const KEYS: &str = "builder/src/solve/key.rs";
const CHANGES: &str = "builder/src/solve/key/changes.rs";
const GRAPHS: &str = "server/src/llb/tests/random.rs";
const GIT: &str = "builder/src/source/git/tests.rs";

/// The beginning of each row; the files and names of its tests.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    ("RUN: the command", &[(COMMANDS, "a_command_counts_as_it_is_executed")]),
    ("RUN: environment", &[(COMMANDS, "what_a_command_is_given_counts")]),
    ("RUN: predefined proxy", &[(COMMANDS, "proxies_do_not_count_unless_they_are_declared")]),
    ("RUN: working directory", &[(COMMANDS, "what_a_command_is_given_counts")]),
    (
        "RUN: platform",
        &[
            (KEYS, "proxies_do_not_count_and_everything_else_does"),
            (COMMANDS, "a_platform_counts_where_a_root_has_it"),
        ],
    ),
    ("RUN: scripts", &[(COMMANDS, "what_stands_in_the_file_counts")]),
    ("RUN: mounts", &[(COMMANDS, "mounts_count_as_they_are_made")]),
    ("RUN: bind mount", &[(COMMANDS, "a_bind_counts_by_what_it_shows")]),
    ("RUN: cache mount: what is in it", &[(COMMANDS, "a_cache_counts_by_its_beginning")]),
    ("RUN: cache mount: what it begins", &[(COMMANDS, "a_cache_counts_by_its_beginning")]),
    (
        "RUN: secrets and SSH",
        &[(COMMANDS, "a_secret_counts_by_its_id"), (KEYS, "credentials_count_by_id_and_place")],
    ),
    ("RUN: whether a secret", &[(COMMANDS, "a_secret_counts_by_its_id")]),
    ("RUN: devices", &[(COMMANDS, "a_device_counts_by_its_name")]),
    ("RUN: which devices", &[(COMMANDS, "a_device_counts_by_its_name")]),
    ("RUN: network", &[(COMMANDS, "network_and_host_name_count")]),
    ("RUN: host name", &[(COMMANDS, "network_and_host_name_count")]),
    (
        "RUN: limits",
        &[
            (COMMANDS, "limits_count_by_what_they_are"),
            (CHANGES, "rules_of_a_command_count_but_for_addresses"),
        ],
    ),
    ("RUN: what the machine lends", &[(COMMANDS, "what_the_machine_lends_does_not_count")]),
    ("RUN: the root", &[(COMMANDS, "a_root_counts_by_its_content")]),
    ("COPY, ADD: the root", &[(FILES, "a_copy_counts_what_it_lies_on_unless_it_is_linked")]),
    (
        "COPY, ADD: tree digest",
        &[(FILES, "sources_count_by_what_they_are"), (FILES, "odd_files_are_told_apart")],
    ),
    ("COPY, ADD: extended attributes", &[(FILES, "attributes_count")]),
    ("COPY, ADD: which sources are hard links", &[(FILES, "hard_links_count_within_a_source")]),
    ("COPY, ADD: sources' owners", &[(FILES, "owners_count_where_there_are_any")]),
    ("COPY, ADD: sources' times", &[(FILES, "times_and_inodes_do_not_count")]),
    ("COPY, ADD: sockets", &[(FILES, "what_is_not_copied_does_not_count")]),
    ("COPY, ADD: what no source takes", &[(FILES, "only_what_is_taken_counts")]),
    ("COPY, ADD: destination", &[(FILES, "where_files_go_and_what_becomes_of_them_counts")]),
    ("COPY, ADD: where in the context", &[(FILES, "where_files_were_does_not_count")]),
    ("COPY, ADD: files that stand", &[(COMMANDS, "what_stands_in_the_file_counts")]),
    ("COPY, ADD with `--link`", &[(FILES, "a_copy_counts_what_it_lies_on_unless_it_is_linked")]),
    ("ADD of a URL", &[(FILES, "a_download_counts_by_its_body")]),
    (
        "ADD of a repository",
        &[(GIT, "a_commit_that_is_here_is_not_fetched"), (GIT, "a_checkout_is_a_function_of_its_commit")],
    ),
    (
        "contexts by name",
        &[(
            "cli/tests/e2e/named_contexts.rs",
            "a_directory_has_its_own_ignore_file_and_counts_by_its_content",
        )],
    ),
    ("WORKDIR", &[(FILES, "a_directory_counts_by_its_path")]),
    (
        "client's graphs: copies by path",
        &[
            (CHANGES, "a_transfer_counts_by_what_it_takes_and_how_it_lands"),
            (CHANGES, "what_a_transfer_takes_is_remembered_by_all_that_chooses_it"),
        ],
    ),
    (
        "client's graphs: files, directories and links",
        &[(CHANGES, "single_changes_count_with_all_that_they_say")],
    ),
    ("client's graphs: command", &[(CHANGES, "rules_of_a_command_count_but_for_addresses")]),
    (
        "client's graphs: what a command leaves",
        &[(CHANGES, "differences_and_outputs_count_by_what_they_are_of")],
    ),
    ("client's graphs: difference", &[(CHANGES, "differences_and_outputs_count_by_what_they_are_of")]),
    ("client's graphs: merge", &[(GRAPHS, "random_graphs_build_what_the_model_says")]),
    ("labels", &[(FILES, "what_only_describes_does_not_count")]),
    ("SOURCE_DATE_EPOCH", &[(FILES, "the_date_counts_where_it_is_declared")]),
    ("HEALTHCHECK", &[(FILES, "what_only_describes_does_not_count")]),
];

/// The first cells of the table's rows.
fn table() -> Vec<String> {
    let text = fs::read_to_string(workspace().join("cache/src/lib.rs")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("//! | input |")).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("//! | "));
    rows.map(|row| row.split(" | ").next().unwrap().to_owned()).collect()
}

#[test]
fn every_row_has_tests() {
    let table = table();
    assert!(table.len() > 30, "the table should be found: {table:#?}");
    for row in &table {
        let known = ROWS.iter().filter(|(begin, _)| row.starts_with(begin)).count();
        assert_eq!(known, 1, "the row `{row}` should be in ROWS, once");
    }
    for (begin, tests) in ROWS {
        assert!(table.iter().any(|row| row.starts_with(begin)), "no row begins with `{begin}`");
        for (file, test) in *tests {
            let text = fs::read_to_string(workspace().join(file)).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}

/// A build that is repeated with one thing changed at a time.
struct Trial {
    env: TestEnvironment,
    context: PathBuf,
    text: String,
    args: Vec<String>,
}

impl Trial {
    /// Builds `text`, with these files in the context.
    fn new(text: &str, files: &[(&str, &str)]) -> Trial {
        let env = TestEnvironment::new();
        let context = env.dockerfile("trial", "");
        let mut trial = Trial { env, context, text: String::new(), args: Vec::new() };
        for (path, content) in files {
            trial.write(path, content);
        }
        trial.text(text);
        trial.build();
        trial.hits("nothing changed");
        trial
    }

    /// Another Dockerfile. `BASE` in it is the name of busybox, on which everything is built that has no FROM.
    fn text(&mut self, text: &str) -> &mut Trial {
        let text = if text.contains("FROM") { text.to_owned() } else { format!("FROM BASE\n{text}") };
        self.text = format!("ARG REGISTRY\n{}", text.replace("BASE", "${REGISTRY}/busybox"));
        self
    }

    fn args(&mut self, args: &[&str]) -> &mut Trial {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    fn write(&self, path: &str, content: &str) -> &Trial {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.context.join(path)
    }

    fn build(&self) -> Steps {
        fs::write(self.path("Dockerfile"), &self.text).unwrap();
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let outcome = self.env.build(&self.context, "trial", &args);
        assert!(outcome.status.success(), "{}\n{outcome}", self.text);
        Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr))
    }

    /// Nothing is executed.
    #[track_caller]
    fn hits(&self, why: &str) -> &Trial {
        let steps = self.build();
        assert_eq!(steps.executed(), [""; 0], "should hit: {why}\n{}\n{steps:#?}", self.text);
        self
    }

    /// Steps whose names have these parts are executed, and no others; once.
    #[track_caller]
    fn misses(&self, parts: &[&str], why: &str) -> &Trial {
        let steps = self.build();
        let names = steps.executed();
        let fits = names.len() == parts.len()
            && parts.iter().all(|part| names.iter().any(|name| name.contains(part)));
        assert!(fits, "{parts:?} should miss: {why}\n{}\nexecuted {names:?}\n{steps:#?}", self.text);
        assert_eq!(self.build().executed(), [""; 0], "the second time: {why}");
        self
    }

    fn tree(&self) -> BTreeMap<String, String> {
        self.env.image("trial").tree
    }
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}
