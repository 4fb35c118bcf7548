//! Random histories: a first state, and edits as people make them.
//!
//! Contents, names and flags come from few values, so that different steps are often alike: that is where a wrong key shows.

use std::fmt::Write as _;

use super::random::Random;
use super::state::{Base, File, Kind, Rule, Stage, State, Step, Touch};
use super::world::BASES;

/// Patterns that a context always has: what they leave out is what the invisible edits add.
const IGNORED: [&str; 2] = ["junk", ".beside"];

/// A history of 4 to 10 states.
pub fn history(random: &mut Random) -> Vec<State> {
    let mut generator = Generator { random, next_id: 0 };
    let mut history = vec![generator.first()];
    for _ in 0..3 + generator.random.below(7) {
        let next = generator.edit(&history);
        history.push(next);
    }
    history
}

struct Generator<'a> {
    random: &'a mut Random,
    next_id: usize,
}

impl Generator<'_> {
    fn id(&mut self) -> usize {
        self.next_id += 1;
        self.next_id
    }

    fn first(&mut self) -> State {
        let mut state = State { ignore: IGNORED.map(str::to_owned).to_vec(), ..State::default() };
        for path in ["a/f", "a/g", "a/s/h", "b/f", "b/g", "c", "junk/x"] {
            let text = self.content();
            Self::put(&mut state, path, Kind::Regular(text));
        }
        Self::put(&mut state, "l", Kind::Symlink("a/f".to_owned()));
        Self::put(&mut state, "dl", Kind::Symlink("a".to_owned()));
        Self::put(&mut state, "a/l", Kind::Symlink("g".to_owned()));
        for _ in 0..=self.random.below(3) {
            let stage = self.stage(&state);
            state.stages.push(stage);
        }
        if self.random.chance(50) {
            state.args.insert("W".to_owned(), self.content());
        }
        state
    }

    fn content(&mut self) -> String {
        self.random.pick(&["1", "2", "3"]).to_owned()
    }

    /// Puts a file, with the directories above it.
    fn put(state: &mut State, path: &str, kind: Kind) {
        for (slash, _) in path.match_indices('/') {
            let above = path[..slash].to_owned();
            let directory = File { kind: Kind::Directory, mode: 0o755, xattr: None };
            state.context.entry(above).or_insert(directory);
        }
        state.context.insert(path.to_owned(), File { kind, mode: 0o644, xattr: None });
    }

    fn stage(&mut self, state: &State) -> Stage {
        let earlier: Vec<usize> = state.stages.iter().map(|stage| stage.id).collect();
        let base = match self.random.below(10) {
            0 => Base::Scratch,
            1 | 2 if !earlier.is_empty() => Base::Stage(earlier[self.random.below(earlier.len())]),
            _ => Base::Image(self.random.below(BASES)),
        };
        let runs = base != Base::Scratch;
        let mut stage = Stage { id: self.id(), base, steps: Vec::new() };
        if self.random.chance(20) {
            let text = r#"SHELL ["/bin/probe", "-c"]"#.to_owned();
            stage.steps.push(Step { id: self.id(), text, stages: Vec::new() });
        }
        // Stages that nothing is taken from are not built.
        for earlier in earlier.iter().filter(|earlier| stage.base != Base::Stage(**earlier)) {
            let (mut stages, id) = (Vec::new(), self.id());
            let text = self.copy(&[*earlier], &mut stages);
            stage.steps.push(Step { id, text, stages });
        }
        for _ in 0..2 + self.random.below(5) {
            let step = self.instruction(&earlier, runs);
            stage.steps.push(step);
        }
        stage
    }

    fn instruction(&mut self, earlier: &[usize], runs: bool) -> Step {
        let id = self.id();
        let mut stages = Vec::new();
        let text = match self.random.below(20) {
            0..=5 => self.copy(earlier, &mut stages),
            6 => self.add(),
            7 => self.heredoc(),
            8 => format!("WORKDIR {}", self.random.pick(&["/w", "/d", "w", "/out/w", "/v$V"])),
            9 => format!("ENV V={}", self.content()),
            10 => self.random.pick(&["ARG W=0", "ARG W", "ARG X=1"]).to_owned(),
            11 if runs => format!("USER {}", self.random.pick(&["app", "7:9", "app:staff"])),
            _ if runs => self.run(id, earlier, &mut stages),
            _ => self.copy(earlier, &mut stages),
        };
        // Nobody has a name on an empty root.
        let text =
            if runs { text } else { text.replace("app", "7").replace("root ", "0 ").replace("staff", "8") };
        Step { id, text, stages }
    }

    fn flags(&mut self) -> String {
        let mut flags = String::new();
        if self.random.chance(25) {
            flags += " --link";
        }
        for (percent, flag, values) in [
            (20, "chown", &["7:50", "app", "app:staff", "1000", "root"]),
            (15, "chmod", &["0700", "644", "u+x,go-w", "4755", "a=rX"]),
            (15, "exclude", &["f", "**/h", "*/s", "g", "s"]),
        ] {
            if let Some(value) = self.random.some_of(percent, values) {
                write!(flags, " --{flag}={value}").unwrap();
            }
        }
        flags
    }

    fn copy(&mut self, earlier: &[usize], stages: &mut Vec<usize>) -> String {
        let mut flags = self.flags();
        let sources: &[&str] = if !earlier.is_empty() && self.random.chance(45) {
            let stage = earlier[self.random.below(earlier.len())];
            stages.push(stage);
            write!(flags, " --from=s{stage}").unwrap();
            &["/d*", "/d*/", "/out", "/out/*", "/base/file", "/base", "/out/r?", "/d/f*", "/w*", "/*/f"]
        } else if self.random.chance(15) {
            flags += " --parents";
            &["a/f", "./a/./s", "a/s/h", "*/f", "b/", "./a/./*"]
        } else {
            &[
                "a", "a/", "a/f", "a/*", "?/f", "b", "b/f", "c", "l", "dl", "dl/g", "a/s", ".", "[ab]/g",
                "no*", "a/l",
            ]
        };
        self.finish_copy("COPY", &flags, sources)
    }

    fn add(&mut self) -> String {
        let flags = self.flags();
        self.finish_copy("ADD", &flags, &["a", "c", "b/*", "l"])
    }

    fn finish_copy(&mut self, keyword: &str, flags: &str, sources: &[&str]) -> String {
        let first = self.random.pick(sources);
        if self.random.chance(25) {
            let second = self.random.pick(sources);
            let destination = self.random.pick(&["/d/", "/e/", "/out/y/"]);
            return format!("{keyword}{flags} {first} {second} {destination}");
        }
        let destination =
            self.random.pick(&["/d/", "/d/", "/e/x/", "/out/y/", "/d/f", "/e", "w/", "/v$V/", "/"]);
        format!("{keyword}{flags} {first} {destination}")
    }

    fn heredoc(&mut self) -> String {
        let flags = self.flags();
        let (mark, text) = (self.random.pick(&["EOF", "'EOF'", "f"]), self.content());
        let end = mark.trim_matches('\'');
        format!("COPY{flags} <<{mark} /d/\n{text} $V\n{end}")
    }

    fn run(&mut self, id: usize, earlier: &[usize], stages: &mut Vec<usize>) -> String {
        let mut flags = String::new();
        if self.random.chance(40) {
            flags += &self.mount(earlier, stages);
        }
        if self.random.chance(15) {
            flags += " --mount=type=cache,target=/cache/a";
            flags += self.random.pick(&["", ",id=x", ",sharing=locked", ",mode=0700"]);
        }
        if self.random.chance(10) {
            flags += " --mount=type=tmpfs,target=/mnt/t";
            flags += self.random.pick(&["", ",size=1m", ",size=2m"]);
        }
        if self.random.chance(10) {
            flags += " --network=none";
        }
        let verbs = ["remove", "mode", "move", "link", "symlink", "again", "append", "root"];
        let paths = ["/d", "/d/f", "/d/s", "/base/file", "/base", "/e", "/out/y", "/d/g"];
        let words: Vec<String> = match self.random.below(10) {
            0..=3 => vec!["all".into(), format!("/out/r{}", id % 10)],
            4 => vec!["const".into(), self.random.pick(&["/out/k", "/d/k", "/d/f"]).into()],
            5 | 6 => {
                let path = self.random.pick(&["/d/f", "/mnt/a/f", "/mnt/b", "/base/file", "/d/g", "/out/k"]);
                vec!["read".into(), format!("/out/r{}", id % 10), path.into()]
            }
            _ => vec!["change".into(), self.random.pick(&verbs).into(), self.random.pick(&paths).into()],
        };
        format!("RUN{flags} [\"/bin/probe\", \"{}\"]", words.join("\", \""))
    }

    fn mount(&mut self, earlier: &[usize], stages: &mut Vec<usize>) -> String {
        let options = self.random.pick(&["", ",rw"]);
        if !earlier.is_empty() && self.random.chance(50) {
            let stage = earlier[self.random.below(earlier.len())];
            stages.push(stage);
            let source = self.random.pick(&["/out", "/base", "/base/file"]);
            let target = if source == "/base/file" { "/etc/hosts" } else { "/mnt/b" };
            return format!(" --mount=type=bind,from=s{stage},source={source},target={target}{options}");
        }
        let (source, target) =
            [("a", "/mnt/a"), ("b", "/mnt/a"), ("c", "/etc/hosts"), (".", "/mnt/a"), ("dl", "/mnt/b")]
                [self.random.below(5)];
        format!(" --mount=type=bind,source={source},target={target}{options}")
    }
}

/// Edits.
impl Generator<'_> {
    fn edit(&mut self, history: &[State]) -> State {
        let last = &history[history.len() - 1];
        let mut next = State { rule: Rule::Anything, touches: Vec::new(), ..last.clone() };
        match self.random.below(100) {
            0..=39 => self.edit_context(&mut next),
            40..=59 => self.edit_invisibly(&mut next),
            60..=67 => self.change_bases(&mut next),
            68..=87 => self.edit_dockerfile(&mut next),
            88..=91 => self.edit_ignored(&mut next),
            _ => {
                let earlier = &history[self.random.below(history.len())];
                next = State { rule: Rule::Anything, touches: Vec::new(), ..earlier.clone() };
            }
        }
        next
    }

    fn some_path(&mut self, state: &State, wanted: impl Fn(&Kind) -> bool) -> Option<String> {
        let fits = |(path, file): &(&String, &File)| wanted(&file.kind) && !path.starts_with("junk");
        let paths: Vec<&String> = state.context.iter().filter(fits).map(|(path, _)| path).collect();
        if paths.is_empty() { None } else { Some(paths[self.random.below(paths.len())].clone()) }
    }

    fn edit_context(&mut self, state: &mut State) {
        let is_file = |kind: &Kind| matches!(kind, Kind::Regular(_));
        let Some(path) = self.some_path(state, is_file) else { return };
        match self.random.below(12) {
            0..=4 => {
                let text = self.content();
                state.context.get_mut(&path).unwrap().kind = Kind::Regular(text);
            }
            5 => {
                let Some(path) =
                    self.some_path(state, |kind| !matches!(kind, Kind::Symlink(_) | Kind::Link(_)))
                else {
                    return;
                };
                let mode = [0o644, 0o755, 0o600, 0o4755, 0o711][self.random.below(5)];
                // A directory that cannot be entered would be no test of anything.
                state.context.get_mut(&path).unwrap().mode = mode | 0o100;
            }
            6 => {
                state.context.get_mut(&path).unwrap().xattr =
                    self.random.some_of(70, &["1", "2"]).map(str::to_owned);
            }
            7 => {
                if !Self::is_linked(state, &path) {
                    let file = state.context.remove(&path).unwrap();
                    let name = self.random.pick(&["f", "g", "z"]);
                    let dir = path.rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"));
                    if !Self::is_linked(state, &format!("{dir}{name}")) {
                        state.context.insert(format!("{dir}{name}"), file);
                    }
                }
            }
            8 => {
                if let Some(link) = self.some_path(state, |kind| matches!(kind, Kind::Symlink(_))) {
                    let target = self.random.pick(&["a/f", "a", "b", "g", "f", "../c", "/a/g"]);
                    state.context.get_mut(&link).unwrap().kind = Kind::Symlink(target.to_owned());
                }
            }
            9 => {
                let (path, text) = (self.random.pick(&["a/n", "b/n", "a/s/n"]).to_owned(), self.content());
                if !state.context.contains_key(&path) {
                    Self::put(state, &path, Kind::Regular(text));
                }
            }
            10 => {
                if !Self::is_linked(state, &path) {
                    let kind = match self.random.below(3) {
                        0 => Kind::Directory,
                        1 => Kind::Symlink("1".to_owned()),
                        _ => return drop(state.context.remove(&path)),
                    };
                    state.context.insert(path, File { kind, mode: 0o755, xattr: None });
                }
            }
            _ => {
                let link = format!("{path}-link");
                let kind = Kind::Link(path);
                let (mode, xattr) = (0o644, None);
                if state.context.remove(&link).is_none() {
                    state.context.insert(link, File { kind, mode, xattr });
                }
            }
        }
    }

    /// Whether a hard link of the context leads to the path, or is there.
    fn is_linked(state: &State, path: &str) -> bool {
        state.context.iter().any(|(known, file)| match &file.kind {
            Kind::Link(target) => target == path || known == path,
            Kind::Directory => known == path,
            _ => false,
        })
    }

    fn edit_invisibly(&mut self, state: &mut State) {
        state.rule = Rule::Nothing;
        let number = self.id();
        match self.random.below(10) {
            0..=2 => {
                let path = self.some_path(state, |kind| matches!(kind, Kind::Regular(_) | Kind::Directory));
                state.touches.extend(path.map(|path| Touch::Time(path, 1_600_000_000 + number as u64)));
            }
            3 => {
                let path = self.some_path(state, |_| true);
                state
                    .touches
                    .extend(path.map(|path| Touch::Owner(path, 1000 + u32::try_from(number).unwrap())));
            }
            4 => {
                let path = self.some_path(state, |kind| matches!(kind, Kind::Regular(_)));
                let plain =
                    path.filter(|path| state.context[path].xattr.is_none() && !Self::is_linked(state, path));
                state.touches.extend(plain.map(Touch::Again));
            }
            5 => {
                let text = self.content();
                Self::put(state, &format!("junk/{number}"), Kind::Regular(text));
            }
            6 => state.label = Some(number.to_string()),
            7 => drop(state.args.insert("UNDECLARED".to_owned(), number.to_string())),
            8 => state.ignore.insert(0, format!("matches-nothing-{number}")),
            _ => {
                let text =
                    format!("{} {number}", self.random.pick(&["#", "LABEL k=", "EXPOSE 8080\nLABEL l="]));
                let text = text.replace("= ", "=");
                let stage = self.random.below(state.stages.len());
                let at = self.random.below(state.stages[stage].steps.len() + 1);
                state.stages[stage].steps.insert(at, Step { id: number, text, stages: Vec::new() });
            }
        }
    }

    /// Every stage gets another base image, and nothing else changes.
    fn change_bases(&mut self, state: &mut State) {
        let by = 1 + self.random.below(BASES - 1);
        for stage in &mut state.stages {
            if let Base::Image(number) = &mut stage.base {
                *number = (*number + by) % BASES;
            }
        }
        // What a linked copy takes from a stage may change with it, and so may what a name means, or a directory.
        let depends = |text: &str| ["--from", "app", "$V", "w/"].iter().any(|part| text.contains(part));
        let mut links =
            state.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.text.contains("--link"));
        if !links.any(|step| depends(&step.text)) {
            state.rule = Rule::NoLinks;
        }
    }

    fn edit_dockerfile(&mut self, state: &mut State) {
        let index = self.random.below(state.stages.len());
        let earlier: Vec<usize> = state.stages[..index].iter().map(|stage| stage.id).collect();
        let runs = state.stages[index].base != Base::Scratch;
        let count = state.stages[index].steps.len();
        match self.random.below(8) {
            0 | 1 if count > 0 => {
                let at = self.random.below(count);
                let new = self.instruction(&earlier, runs);
                state.stages[index].steps[at] = new;
            }
            2 | 3 => {
                let at = self.random.below(count + 1);
                let new = self.instruction(&earlier, runs);
                state.stages[index].steps.insert(at, new);
            }
            4 if count > 1 => drop(state.stages[index].steps.remove(self.random.below(count))),
            5 if count > 1 => {
                let at = self.random.below(count - 1);
                state.stages[index].steps.swap(at, at + 1);
            }
            6 => drop(state.args.insert("W".to_owned(), self.content())),
            _ => {
                let value = self.content();
                let steps = state.stages[index].steps.iter_mut();
                for step in steps.filter(|step| step.text.starts_with("ENV V=")) {
                    step.text = format!("ENV V={value}");
                }
            }
        }
    }

    fn edit_ignored(&mut self, state: &mut State) {
        let pattern = self.random.pick(&["a/f", "**/g", "!a/f", "b", "*.x", "a/s", "!b/f", "l"]).to_owned();
        match state.ignore.iter().position(|known| *known == pattern) {
            Some(index) => drop(state.ignore.remove(index)),
            None => state.ignore.push(pattern),
        }
    }
}
