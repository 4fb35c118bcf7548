//! Logging in, against a registry that checks.

use kiln_registry::testing::{Fault, Login, TestImage, TestRegistry};
use kiln_registry::{AuthError, BlobSource, Login as StoredLogin, RegistryError};

use crate::support::{client, client_with_config, noise, read, reference, text};

fn config(registry: &TestRegistry, entry: &str) -> String {
    format!(r#"{{"auths":{{"http://{}/v1/":{entry}}}}}"#, registry.host())
}

async fn registry(login: Login) -> (TestRegistry, TestImage) {
    let registry = TestRegistry::with_login(login).await;
    let image = TestImage::new("linux/amd64", &[b"one", b"two", b"three"]);
    registry.put_image("a", "t", &image);
    (registry, image)
}

#[tokio::test]
async fn anonymous_tokens_are_fetched_once() {
    let (registry, image) = registry(Login::AnonymousToken).await;
    let (client, reference) = (client(), reference(&registry, "a:t"));
    client.resolve(&reference, "linux/amd64").await.unwrap();
    for descriptor in image.descriptors() {
        read(&client, &reference, &descriptor).await.unwrap();
    }
    let tokens: Vec<_> =
        registry.requests().into_iter().filter(|request| request.contains("/token")).collect();
    assert_eq!(tokens, ["GET /token?service=test&scope=repository%3Aa%3Apull"]);
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_token() {
    let (registry, image) = registry(Login::AnonymousToken).await;
    let (client, reference) = (client(), reference(&registry, "a:t"));
    let reads = image.descriptors().into_iter().map(|descriptor| {
        let (client, reference) = (client.clone(), reference.clone());
        tokio::spawn(async move { read(&client, &reference, &descriptor).await })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap().unwrap();
    }
    assert_eq!(registry.requests().iter().filter(|request| request.contains("/token")).count(), 1);
}

#[tokio::test]
async fn a_user_with_tokens() {
    let (registry, _) = registry(Login::Token("me", "pw")).await;
    let (client, _dir) = client_with_config(&config(&registry, r#"{"auth":"bWU6cHc="}"#));
    let reference = reference(&registry, "a:t");
    client.resolve(&reference, "linux/amd64").await.unwrap();
    // Pushing needs a token of its own.
    let blob = kiln_registry::Descriptor::new("x".into(), 4, kiln_registry::sha256(b"push"));
    client.push_blob(&reference, &blob, &BlobSource::bytes("push"), None, |_| {}).await.unwrap();
    let tokens: Vec<_> = registry.seen().into_iter().filter(|seen| seen.path.contains("/token")).collect();
    assert_eq!(tokens.len(), 2);
    assert!(tokens[1].path.contains("scope=repository%3Aa%3Apull%2Cpush&account=me&client_id=kiln"));
    assert!(tokens.iter().all(|seen| seen.authorization.as_deref() == Some("Basic bWU6cHc=")));
    let others = registry.seen().into_iter().filter(|seen| !seen.path.contains("/token"));
    assert!(others.filter_map(|seen| seen.authorization).all(|sent| sent.starts_with("Bearer ")));
}

#[tokio::test]
async fn an_identity_token() {
    let (registry, _) = registry(Login::Identity("secret")).await;
    let entry = r#"{"auth":"PHRva2VuPjo=","identitytoken":"secret"}"#;
    let (client, _dir) = client_with_config(&config(&registry, entry));
    client.resolve(&reference(&registry, "a:t"), "linux/amd64").await.unwrap();
    assert!(registry.requests().contains(&"POST /token".to_owned()));
}

#[tokio::test]
async fn basic_is_remembered() {
    let (registry, image) = registry(Login::Basic("me", "pw")).await;
    let (client, _dir) = client_with_config(&config(&registry, r#"{"username":"me","password":"pw"}"#));
    let reference = reference(&registry, "a:t");
    client.resolve(&reference, "linux/amd64").await.unwrap();
    read(&client, &reference, &image.descriptors()[0]).await.unwrap();
    let statuses: Vec<_> = registry.seen().into_iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [401, 200, 200, 200]);
}

#[tokio::test]
async fn a_missing_and_a_wrong_login_are_told_apart() {
    let (basic, _) = registry(Login::Basic("me", "pw")).await;
    let error = client().manifest(&reference(&basic, "a:t")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Auth { source: AuthError::NoCredential, .. }), "{error:?}");
    assert!(
        error.is_unauthorized()
            && error.hint().unwrap().contains(&format!("log in first: kiln login {}", basic.host()))
    );

    let (wrong, _dir) = client_with_config(&config(&basic, r#"{"username":"me","password":"no"}"#));
    let error = wrong.manifest(&reference(&basic, "a:t")).await.unwrap_err();
    assert!(error.is_unauthorized() && text(&error).contains("authentication required"), "{error:?}");
    assert!(error.hint().unwrap().starts_with("the stored login was refused"), "{error:?}");

    let (tokens, _) = registry(Login::Token("me", "pw")).await;
    let (wrong, _dir) = client_with_config(&config(&tokens, r#"{"username":"me","password":"no"}"#));
    let error = wrong.manifest(&reference(&tokens, "a:t")).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    assert!(text(&error).contains("incorrect username or password"), "{error:?}");
    assert!(!text(&error).contains("account=me"), "{error:?}");
    let hint = error.hint().unwrap();
    assert_eq!(hint, format!("the stored login was refused; log in again: kiln login {}", tokens.host()));
    let error = client().manifest(&reference(&tokens, "a:t")).await.unwrap_err();
    assert!(error.hint().unwrap().starts_with("log in first: kiln login "), "{error:?}");
}

#[tokio::test]
async fn a_registry_that_gives_everybody_a_token_and_refuses_them_names_the_login() {
    let (registry, _) = registry(Login::AnonymousToken).await;
    let challenge = format!(r#"Bearer realm="http://{}/token",service="test""#, registry.host());
    let refusal =
        kiln_registry::testing::Trouble::Status(401, vec![("www-authenticate", challenge)], String::new());
    registry.order(Fault::always("GET", "/manifests/", refusal));
    let error = client().manifest(&reference(&registry, "a:t")).await.unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("log in first: kiln login ") && hint.contains("may not exist"), "{hint}");
}

#[tokio::test]
async fn a_login_is_tried_before_it_is_kept() {
    let mine = |password: &str| StoredLogin::Basic { username: "me".into(), password: password.into() };
    for login in [Login::Basic("me", "pw"), Login::Token("me", "pw")] {
        let (registry, _) = registry(login).await;
        // What is stored already is of no account.
        let (client, _dir) = client_with_config(&config(&registry, r#"{"username":"me","password":"pw"}"#));
        client.verify_login(&registry.host(), mine("pw")).await.unwrap();
        let error = client.verify_login(&registry.host(), mine("no")).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error:?}");
        assert!(!format!("{error:?}{}", text(&error)).contains("pw"), "{error:?}");
    }
    let (open, _) = registry(Login::None).await;
    client().verify_login(&open.host(), mine("any")).await.unwrap();
    assert!(open.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_login_of_another_registry_is_not_sent() {
    let (registry, _) = registry(Login::Basic("me", "pw")).await;
    let (client, _dir) = client_with_config(r#"{"auths":{"other.example":{"auth":"bWU6cHc="}}}"#);
    let error = client.manifest(&reference(&registry, "a:t")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Auth { source: AuthError::NoCredential, .. }));
    assert!(registry.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_token_that_has_run_out_is_renewed() {
    let (registry, image) = registry(Login::AnonymousToken).await;
    let (client, reference) = (client(), reference(&registry, "a:t"));
    client.resolve(&reference, "linux/amd64").await.unwrap();
    let host = registry.host();
    let challenge = format!(r#"Bearer realm="http://{host}/token",service="test",scope="repository:a:pull""#);
    let expired =
        kiln_registry::testing::Trouble::Status(401, vec![("www-authenticate", challenge)], String::new());
    registry.order(Fault::once("GET", "/blobs/", expired));
    read(&client, &reference, &image.descriptors()[0]).await.unwrap();
    assert_eq!(registry.requests().iter().filter(|request| request.contains("/token")).count(), 2);
}

#[tokio::test]
async fn a_token_server_that_is_busy_is_asked_again() {
    let (registry, _) = registry(Login::AnonymousToken).await;
    let reference = reference(&registry, "a:t");
    // A fault of the token server is ordered like any other.
    registry.order(Fault::once("GET", "/token", Fault::status(503)).times(2));
    client().resolve(&reference, "linux/amd64").await.unwrap();
    registry.order(Fault::always("GET", "/token", Fault::status(503)));
    let error = client().resolve(&reference, "linux/amd64").await.unwrap_err();
    assert!(matches!(error, RegistryError::Auth { source: AuthError::TokenStatus { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_configuration_is_named() {
    let (registry, _) = registry(Login::Basic("me", "pw")).await;
    let (client, dir) = client_with_config("{");
    let error = client.manifest(&reference(&registry, "a:t")).await.unwrap_err();
    assert!(text(&error).contains(&dir.path().join("config.json").display().to_string()), "{error:?}");
    // Whoever needs no login is not bothered by it.
    let open = TestRegistry::start().await;
    let descriptor = open.put_blob("a", noise(3));
    read(&client, &reference(&open, "a:t"), &descriptor).await.unwrap();
}
