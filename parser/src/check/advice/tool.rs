//! Programs that download what a project needs: where they keep it, and which files say what it is.

/// One way to call such a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tool {
    /// Its name.
    pub program: &'static str,
    /// What it is told to do.
    action: &'static str,
    /// Where it keeps its downloads in an image that runs as root.
    pub cache: &'static str,
    /// The files that say what is needed.
    pub manifest: &'static str,
}

const fn tool(
    program: &'static str,
    action: &'static str,
    cache: &'static str,
    manifest: &'static str,
) -> Tool {
    Tool { program, action, cache, manifest }
}

/// The ones that people use most; a program that is not here is not talked about.
const TOOLS: [Tool; 16] = [
    tool("bundle", "install", "/usr/local/bundle/cache", "Gemfile and Gemfile.lock"),
    tool("cargo", "build", "/usr/local/cargo/registry", "Cargo.toml and Cargo.lock"),
    tool("cargo", "fetch", "/usr/local/cargo/registry", "Cargo.toml and Cargo.lock"),
    tool("composer", "install", "/root/.composer/cache", "composer.json and composer.lock"),
    tool("dotnet", "restore", "/root/.nuget/packages", "the project files"),
    tool("go", "build", "/root/.cache/go-build", "go.mod and go.sum"),
    tool("go", "mod", "/go/pkg/mod", "go.mod and go.sum"),
    tool("npm", "ci", "/root/.npm", "package.json and package-lock.json"),
    tool("npm", "install", "/root/.npm", "package.json and package-lock.json"),
    tool("pip", "install", "/root/.cache/pip", "requirements.txt"),
    tool("pip3", "install", "/root/.cache/pip", "requirements.txt"),
    tool("pnpm", "install", "/root/.local/share/pnpm/store", "package.json and pnpm-lock.yaml"),
    tool("poetry", "install", "/root/.cache/pypoetry", "pyproject.toml and poetry.lock"),
    tool("uv", "sync", "/root/.cache/uv", "pyproject.toml and uv.lock"),
    tool("yarn", "install", "/usr/local/share/.cache/yarn", "package.json and yarn.lock"),
    tool("mvn", "dependency:go-offline", "/root/.m2", "pom.xml"),
];

/// What compiles as well, so that it cannot run before the sources are there.
const BUILDS: &str = "build";

impl Tool {
    /// The tool that `words` call.
    pub fn of(words: &[&str]) -> Option<&'static Self> {
        let words = match words {
            [python, "-m", rest @ ..] if python.starts_with("python") => rest,
            words => words,
        };
        let (program, rest) = words.split_first()?;
        let program = program.rsplit('/').next().unwrap_or(program);
        let action = rest.iter().find(|word| !word.starts_with('-'))?;
        let found = TOOLS.iter().find(|tool| tool.program == program && tool.action == *action)?;
        (found.action != "mod" || rest.contains(&"download")).then_some(found)
    }

    /// The call as people write it.
    pub fn name(&self) -> String {
        let more = if self.action == "mod" { " download" } else { "" };
        format!("{} {}{more}", self.program, self.action)
    }

    /// Whether `words` install what the project's files ask for, and not some package by its name.
    pub fn installs_project(&self, words: &[&str]) -> bool {
        if self.program.starts_with("pip") {
            return words.iter().any(|word| *word == "-r" || word.starts_with("--requirement"));
        }
        let operands = words.iter().skip_while(|word| **word != self.action).skip(1);
        let mut packages = operands.filter(|word| !word.starts_with('-') && **word != "download");
        self.action != BUILDS && packages.next().is_none()
    }
}
