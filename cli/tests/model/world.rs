//! Where the model builds: a context directory and two stores, through the same rooms that the command line uses.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_builder::{
    BuildRequest, Builder, BuilderOptions, CancellationToken, Credentials, Entitlements, Event, Progress,
    PullPolicy, RequireCached, SharedCaches,
};
use kiln_cache::{ImageRecord, Node, NodeKind, Store, View};
use kiln_graph::Graph;
use kiln_graph::lower::{LowerOptions, lower};
use kiln_graph::op::Source;
use kiln_graph::plan::Plan;
use kiln_registry::{Client, ClientOptions, Reference};
use tokio::runtime::Runtime;

use super::probe;
use super::state::State;

/// How many base images there are. The last two have the same files.
pub const BASES: usize = 4;

/// The name of a base image.
pub fn base_name(number: usize) -> String {
    format!("model/base{number}:latest")
}

/// A builder on a store of its own.
pub struct World {
    runtime: Runtime,
    builder: Builder,
    /// Whether every step is executed.
    executes_all: bool,
}

/// What a build did.
pub struct Built {
    pub steps: Vec<Step>,
    /// The image, or why there is none.
    pub image: Result<Image, String>,
}

/// A step as the events tell of it.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub stage: String,
    /// Without `[stage 1/2]`.
    pub text: String,
    pub executed: bool,
    /// Why the cache had no answer.
    pub reason: String,
    pub cached: bool,
    /// Whether it ended well, which keeps its result.
    pub done: bool,
    /// What its command says it saw.
    pub saw: Option<String>,
}

/// An image without the times in it.
#[derive(PartialEq, Eq)]
pub struct Image {
    pub config: String,
    /// A line for each path of the merged layers.
    pub tree: Vec<String>,
}

impl World {
    /// A store in `dir` that has the base images, which are made in `bases`.
    pub fn new(dir: &Path, bases: &Path, executes_all: bool) -> World {
        let client = Client::new(ClientOptions::default()).unwrap();
        let hosts = Some(b"127.0.0.1\tlocalhost\n".to_vec());
        let options = BuilderOptions { jobs: 2, resolv_conf: None, hosts, device_directories: Vec::new() };
        let builder = Builder::new(Store::open(dir).unwrap(), client, options);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = World { runtime, builder, executes_all: false };
        for number in 0..BASES {
            world.make_base(bases, number);
        }
        World { executes_all, ..world }
    }

    /// Builds a base image from files that every world makes with the same times.
    fn make_base(&self, dir: &Path, number: usize) {
        let put = |path: &str, text: &[u8], mode: u32| {
            let full = dir.join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, text).unwrap();
            fs::set_permissions(full, fs::Permissions::from_mode(mode)).unwrap();
        };
        let group = 50 + number.min(BASES - 2);
        put("root/etc/passwd", format!("root:x:0:0::/:\napp:x:7:{group}::/h:\n").as_bytes(), 0o644);
        put("root/etc/group", format!("root:x:0:\nstaff:x:{group}:\nmore:x:9:app\n").as_bytes(), 0o644);
        put("root/etc/hosts", b"", 0o644);
        put("root/base/file", format!("{}", number.min(BASES - 2)).as_bytes(), 0o644);
        for empty in ["mnt/a", "mnt/b", "mnt/t", "cache/a", "proc", "sys", "dev", "out"] {
            fs::create_dir_all(dir.join("root").join(empty)).unwrap();
        }
        fs::set_permissions(dir.join("root/out"), fs::Permissions::from_mode(0o1777)).unwrap();
        let program = dir.join("root").join(probe::PATH.trim_start_matches('/'));
        if !program.exists() {
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            fs::copy("/proc/self/exe", &program).unwrap();
        }
        set_times(&dir.join("root"));
        // The program is by far the largest file, and the same in all.
        let text =
            format!("FROM scratch\nCOPY root/bin /bin\nCOPY --exclude=bin root /\nENV BASE={number}\n");
        let (_, record) = self.solve(&text, &LowerOptions::default(), dir);
        let name = Reference::parse(&base_name(number)).unwrap();
        self.builder.images().name(&record.unwrap(), &name).unwrap();
    }

    /// Builds the state, whose context is in `context`.
    pub fn build(&self, state: &State, context: &Path) -> Built {
        let options = LowerOptions {
            build_args: state.args.clone(),
            labels: state.label.iter().map(|label| ("label".to_owned(), label.clone())).collect(),
            ignore: state.ignore.clone(),
            no_cache: self.executes_all,
            ..LowerOptions::default()
        };
        let (steps, record) = self.solve(&state.dockerfile(), &options, context);
        let image = record.map(|record| self.image(&record));
        Built { steps, image }
    }

    fn solve(
        &self,
        text: &str,
        options: &LowerOptions,
        context: &Path,
    ) -> (Vec<Step>, Result<ImageRecord, String>) {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let record = self.runtime.block_on(self.record(text, options, context, Progress::new(sender)));
        let mut steps = BTreeMap::new();
        while let Ok(event) = events.try_recv() {
            note(&mut steps, event);
        }
        (steps.into_values().collect(), record)
    }

    async fn record(
        &self,
        text: &str,
        options: &LowerOptions,
        context: &Path,
        progress: Progress,
    ) -> Result<ImageRecord, String> {
        let parsed = kiln_parser::parse(text);
        let handle = tokio::runtime::Handle::current();
        let resolver = self.builder.resolver(PullPolicy::Missing, progress.clone(), handle);
        let bases = resolver.bases();
        let (source, options) = (text.to_owned(), options.clone());
        let lowered = move || lower(&source, &parsed.dockerfile, &options, &resolver);
        let lowered = tokio::task::spawn_blocking(lowered).await.unwrap();
        let plan = lowered.plan.ok_or_else(|| format!("{:?}", lowered.diagnostics))?;
        let request = BuildRequest {
            plan: if self.executes_all { without_cache(plan) } else { plan },
            contexts: BTreeMap::from([(Source::MAIN_CONTEXT.to_owned(), context.to_owned())]),
            bases,
            credentials: Credentials::default(),
            entitlements: Entitlements::default(),
            project: "model".to_owned(),
            require_cached: RequireCached::default(),
            shared: SharedCaches::default(),
            cancel: CancellationToken::new(),
        };
        let built = self.builder.build(request, &progress).await;
        built.map_err(|error| kiln_builder::text::chain(&error))
    }

    fn image(&self, record: &ImageRecord) -> Image {
        let config = self.builder.images().config(record).unwrap();
        let mut config = serde_json::to_value(config).unwrap();
        config["created"].take();
        config["rootfs"].take();
        for entry in config["history"].as_array_mut().into_iter().flatten() {
            entry["created"].take();
        }
        let trees = self.builder.store.layers().ensure_trees(&record.layers).unwrap();
        let mut tree = Vec::new();
        list(&View::new(&trees).unwrap(), Path::new("/"), &mut tree);
        Image { config: config.to_string(), tree }
    }
}

/// The same plan, every vertex of which is executed: what is shown to mounts, too.
fn without_cache(plan: Plan) -> Plan {
    let mut graph = Graph::new();
    for (_, vertex) in plan.graph.iter() {
        let mut vertex = vertex.clone();
        vertex.no_cache = true;
        graph.add(vertex).unwrap();
    }
    Plan { graph, ..plan }
}

fn note(steps: &mut BTreeMap<u32, Step>, event: Event) {
    match event {
        Event::Started { step, name } => {
            let (place, text) = name.split_once("] ").unwrap_or(("", &name));
            let stage = place.split(' ').next().unwrap_or_default().to_owned();
            steps.insert(step.0, Step { stage, text: text.to_owned(), ..Step::default() });
        }
        Event::Missed { step, reason } => {
            let step = steps.get_mut(&step.0).unwrap();
            (step.executed, step.reason) = (true, reason);
        }
        Event::Done { step, .. } => steps.get_mut(&step.0).unwrap().done = true,
        Event::Cached { step } => steps.get_mut(&step.0).unwrap().cached = true,
        Event::Log { step, line, .. } => {
            let line = String::from_utf8_lossy(&line).into_owned();
            let saw = line.strip_prefix(probe::SAW).map(str::to_owned);
            let step = steps.get_mut(&step.0).unwrap();
            step.saw = saw.or(step.saw.take());
        }
        _ => {}
    }
}

/// Everything below `dir`, times aside.
fn list(view: &View, dir: &Path, lines: &mut Vec<String>) {
    let mut links = BTreeMap::new();
    list_below(view, dir, lines, &mut links);
}

type Links = BTreeMap<(u64, u64), PathBuf>;

fn list_below(view: &View, dir: &Path, lines: &mut Vec<String>, links: &mut Links) {
    for (name, node) in view.read_dir(dir).unwrap() {
        let path = dir.join(name);
        let mut line = format!("{path:?} {:?} {:o} {}:{}", node.kind, node.mode, node.uid, node.gid);
        write!(line, " {:?} {:?}", node.rdev, node.link_target).unwrap();
        if node.kind == NodeKind::File {
            write!(line, " {} {}", node.size, content(view, &path, &node)).unwrap();
            if node.nlink > 1 {
                let first = links.entry(node.identity).or_insert_with(|| path.clone());
                write!(line, " is {first:?}").unwrap();
            }
        }
        if let Some(value) = view.xattrs(&node).unwrap().get(OsStr::new("user.model").as_encoded_bytes()) {
            write!(line, " {}", String::from_utf8_lossy(value)).unwrap();
        }
        lines.push(line);
        if node.kind == NodeKind::Directory {
            list_below(view, &path, lines, links);
        }
    }
}

fn content(view: &View, path: &Path, node: &Node) -> String {
    // The probe itself: megabytes that no step changes.
    if path == Path::new(probe::PATH) {
        return String::new();
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut view.open(node).unwrap(), &mut bytes).unwrap();
    probe::hex_of(&bytes)
}

/// Gives everything below `dir` one time, so that base images are the same in every store.
fn set_times(dir: &Path) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let times = fs::FileTimes::new().set_modified(time);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            set_times(&path);
        }
        fs::File::open(path).unwrap().set_times(times).unwrap();
    }
}

/// The context, and the two stores that builds of it are compared in.
pub struct Worlds {
    pub remembers: World,
    pub executes: World,
    dir: tempfile::TempDir,
    context: PathBuf,
    written: State,
}

impl Worlds {
    pub fn new() -> Worlds {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = tempfile::Builder::new().prefix("model-").tempdir_in(place).unwrap();
        let context = dir.path().join("context");
        fs::create_dir(&context).unwrap();
        let bases = dir.path().join("bases");
        let remembers = World::new(&dir.path().join("remembers"), &bases, false);
        let executes = World::new(&dir.path().join("executes"), &bases, true);
        Worlds { remembers, executes, context, written: State::default(), dir }
    }

    /// Makes the context that of the state.
    pub fn write(&mut self, state: &State) {
        state.write(&self.written, &self.context);
        self.written = state.clone();
    }

    pub fn context(&self) -> &Path {
        debug_assert!(self.context.starts_with(self.dir.path()));
        &self.context
    }
}
