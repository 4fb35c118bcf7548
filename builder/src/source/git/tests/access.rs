//! Secrets that repositories on web servers are shown, and who else sees them.

use std::fs;

use kiln_graph::op::Git;
use kiln_registry::testing::GitServer;

use super::super::*;
use super::{Bench, git};
use crate::SharedCaches;
use crate::snapshot::Snapshot;
use crate::step::mounts::credentials::{Credentials, Secret};
use crate::text;

/// Credentials with these secrets, as a repository is shown them.
async fn load_with(
    bench: &Bench,
    source: &Git,
    secrets: &[(&str, &str)],
) -> Result<(Snapshot, bool), SourceError> {
    let secret = |(id, value): &(&str, &str)| ((*id).to_owned(), Secret::new(value.as_bytes().to_vec()));
    let credentials = Credentials { secrets: secrets.iter().map(secret).collect(), ..Credentials::default() };
    let kept = Kept { store: &bench.store, shared: &SharedCaches::default() };
    let access = Access::of(&credentials, source, &bench.store)?;
    assert!(!format!("{access:?}").contains("Authorization"), "what is shown of it is nothing");
    load(kept, source, &access, "git", &bench.progress).await
}

/// `x-access-token:t0ken`, as a header has it.
const TOKEN_LOGIN: &str = "basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=";

#[tokio::test]
async fn a_web_server_is_shown_the_secret_that_is_meant_for_it() {
    let bench = Bench::new();
    let token = GitServer::start(bench.dir.path(), Some(TOKEN_LOGIN));
    let header = GitServer::start(bench.dir.path(), Some("Bearer t0ken"));
    let at = |server: &GitServer| Git { remote: server.url("/origin"), ..bench.source(Some("next")) };
    let (of_token, of_header) =
        (format!("GIT_AUTH_TOKEN.{}", token.host()), format!("GIT_AUTH_HEADER.{}", header.host()));
    for secrets in [
        &[("GIT_AUTH_TOKEN", "t0ken")][..],
        &[("GIT_AUTH_TOKEN", "t0ken\n")],
        &[("GIT_AUTH_TOKEN", "other"), (of_token.as_str(), "t0ken")],
        &[("GIT_AUTH_HEADER", TOKEN_LOGIN), ("GIT_AUTH_TOKEN", "other")],
    ] {
        load_with(&bench, &at(&token), secrets).await.unwrap_or_else(|error| panic!("{secrets:?}: {error}"));
    }
    load_with(&bench, &at(&header), &[(&of_header, "Bearer t0ken"), ("GIT_AUTH_TOKEN", "other")])
        .await
        .unwrap();
    let mut named = at(&token);
    named.access.token = "mine".to_owned();
    load_with(&bench, &named, &[("mine", "t0ken"), ("GIT_AUTH_TOKEN", "other")]).await.unwrap();
    assert!(token.logins().iter().all(|login| login.as_deref() == Some(TOKEN_LOGIN)), "nobody asks twice");

    for (secrets, shown) in [(&[][..], None), (&[("GIT_AUTH_TOKEN", "wrong")][..], Some("basic "))] {
        let error = load_with(&bench, &at(&token), secrets).await.unwrap_err();
        let said = text::chain(&error);
        assert!(matches!(error, SourceError::Git(GitError::Failed { .. })), "{said}");
        assert!(error.hint().is_some_and(|hint| hint.contains("GIT_AUTH_TOKEN")), "{said}");
        let login = token.logins().pop().flatten();
        assert_eq!(login.is_some(), shown.is_some(), "{login:?}");
        assert!(login.is_none_or(|login| !said.contains(&login)), "{said}");
    }
    for value in ["", "\n", "two\nlines"] {
        let error = load_with(&bench, &at(&token), &[("GIT_AUTH_TOKEN", value)]).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::Git(GitError::Secret { id }) if id == "GIT_AUTH_TOKEN"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_shown_to_no_other_server() {
    let bench = Bench::new();
    let foreign = GitServer::start(bench.dir.path(), None);
    let redirecting = GitServer::redirecting(&foreign.url(""));
    let source = Git { remote: redirecting.url("/origin"), ..bench.source(Some("next")) };
    let error = load_with(&bench, &source, &[("GIT_AUTH_TOKEN", "t0ken")]).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("redirect")), "{}", text::chain(&error));
    assert_eq!((redirecting.logins(), foreign.logins()), (vec![Some(TOKEN_LOGIN.to_owned())], vec![]));
    // Without one, git goes where it is sent.
    load_with(&bench, &source, &[]).await.unwrap();

    // A submodule elsewhere is fetched, and sees nothing.
    let repository = bench.repository();
    let library = bench.dir.path().join("library");
    fs::create_dir(&library).unwrap();
    git(&library, &["init", "-q", "-b", "main"]);
    git(&library, &["commit", "-q", "--allow-empty", "-m", "l"]);
    git(&repository, &["submodule", "--quiet", "add", &foreign.url("/library"), "sub"]);
    git(&repository, &["commit", "-q", "-m", "sub"]);
    let own = GitServer::start(bench.dir.path(), Some(TOKEN_LOGIN));
    let seen = foreign.logins().len();
    let source = Git { remote: own.url("/origin"), ..bench.source(None) };
    load_with(&bench, &source, &[("GIT_AUTH_TOKEN", "t0ken")]).await.unwrap();
    let submodule = foreign.logins().split_off(seen);
    assert!(!submodule.is_empty() && submodule.iter().all(Option::is_none), "{submodule:?}");
}
