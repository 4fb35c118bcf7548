//! The login state machine, driven without a network.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use super::*;

const HEADER: &str = r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull""#;

fn authority(credential: Credential) -> Authority {
    let mut authority = Authority::default();
    authority.found(credential);
    authority
}

fn me() -> Credential {
    Credential::Basic { username: "me".into(), password: "pw".into() }
}

fn step(authority: &mut Authority, header: &str, sent: Option<&str>) -> Next {
    authority.challenged(&parse_challenges(header), &Scope::pull("a"), sent, Instant::now(), |_| false)
}

#[test]
fn the_credential_is_looked_up_only_when_asked_for() {
    let mut authority = Authority::default();
    assert_eq!(authority.authorization(&Scope::pull("a"), Instant::now()), None);
    assert!(matches!(step(&mut authority, HEADER, None), Next::FindCredential));
    authority.found(Credential::None);
    assert!(matches!(
        step(&mut authority, HEADER, None),
        Next::Fetch(TokenRequest { authorization: None, .. })
    ));
}

#[test]
fn a_token_is_kept_for_its_scope_and_renewed() {
    let mut authority = authority(me());
    let now = Instant::now();
    let Next::Fetch(request) = step(&mut authority, HEADER, None) else { panic!("a token is wanted") };
    assert_eq!(request.authorization.as_deref(), Some("Basic bWU6cHc="));
    let scope = Scope::pull("a");
    assert_eq!(authority.granted(&scope, br#"{"token":"t","expires_in":100}"#, now).unwrap(), "Bearer t");
    assert_eq!(authority.authorization(&scope, now).as_deref(), Some("Bearer t"));
    assert_eq!(authority.authorization(&Scope::push("a"), now), None);
    assert_eq!(authority.authorization(&scope, now + Duration::from_secs(95)), None);
    // Refused with an older header: the token that another request fetched is used.
    assert!(matches!(step(&mut authority, HEADER, None), Next::Send(header) if header == "Bearer t"));
    // Refused with this very token: a new one is fetched.
    assert!(matches!(step(&mut authority, HEADER, Some("Bearer t")), Next::Fetch(_)));
}

#[test]
fn basic_is_sent_once_and_then_always() {
    let mut authority = authority(me());
    let Next::Send(header) = step(&mut authority, "Basic realm=x", None) else { panic!("basic is wanted") };
    assert_eq!(authority.authorization(&Scope::push("b"), Instant::now()).as_deref(), Some(header.as_str()));
    assert!(matches!(step(&mut authority, "Basic realm=x", Some(&header)), Next::Fail(AuthError::Refused)));
}

#[test]
fn fails_where_nothing_can_be_done() {
    let fail = |credential, header: &str| match step(&mut authority(credential), header, None) {
        Next::Fail(error) => error,
        next => panic!("{next:?}"),
    };
    assert!(matches!(fail(Credential::None, "Basic realm=x"), AuthError::NoCredential));
    assert!(matches!(
        fail(Credential::Identity { token: "i".into() }, "Basic realm=x"),
        AuthError::NoCredential
    ));
    assert!(matches!(fail(me(), "Negotiate"), AuthError::NoChallenge));
    assert!(matches!(fail(me(), ""), AuthError::NoChallenge));
    for realm in ["http://auth.example/t", "file:///etc/passwd", "no url"] {
        let error = fail(me(), &format!("Bearer realm=\"{realm}\""));
        assert!(matches!(error, AuthError::Realm { .. }), "{realm}");
    }
}

#[test]
fn a_token_server_without_tls_only_where_allowed() {
    let mut authority = authority(me());
    let challenges = parse_challenges("Bearer realm=\"http://localhost:1/t\"");
    let next = authority.challenged(&challenges, &Scope::pull("a"), None, Instant::now(), |url| {
        url.host_str() == Some("localhost")
    });
    assert!(matches!(next, Next::Fetch(_)));
}

#[test]
fn a_registry_token_is_used_as_it_is() {
    let mut authority = authority(Credential::Registry { token: "r".into() });
    assert!(matches!(step(&mut authority, HEADER, None), Next::Send(header) if header == "Bearer r"));
    assert!(matches!(step(&mut authority, HEADER, Some("Bearer r")), Next::Fail(AuthError::Refused)));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    assert!(!format!("{:?}", authority(me())).contains("pw"));
}
