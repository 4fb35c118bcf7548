//! References that are and that are not.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

#[test]
fn fills_in_what_docker_fills_in() {
    for (written, full, familiar) in [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("user/app:v1.0-rc_1", "docker.io/user/app:v1.0-rc_1", "user/app:v1.0-rc_1"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"),
        ("127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("Host/app", "Host/app:latest", "Host/app:latest"),
        ("a__b/c---d/e.f", "docker.io/a__b/c---d/e.f:latest", "a__b/c---d/e.f:latest"),
        ("docker.io/docker.io/a", "docker.io/docker.io/a:latest", "docker.io/docker.io/a:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ] {
        let reference = Reference::parse(written).unwrap();
        assert_eq!(reference.to_string(), full, "{written}");
        assert_eq!(reference.familiar(), familiar, "{written}");
        assert_eq!(Reference::parse(full).unwrap(), reference, "{written}");
        assert_eq!(Reference::parse(familiar).unwrap(), reference, "{written}");
    }
}

#[test]
fn a_digest_replaces_the_default_tag() {
    let reference = Reference::parse(&format!("debian@sha256:{HEX}")).unwrap();
    assert_eq!(reference.tag(), None);
    assert_eq!(reference.target(), format!("sha256:{HEX}"));
    let both = Reference::parse(&format!("quay.io/a/b:t@sha256:{HEX}")).unwrap();
    assert_eq!((both.tag(), both.target()), (Some("t"), format!("sha256:{HEX}").as_str()));
    assert_eq!(both.to_string(), format!("quay.io/a/b:t@sha256:{HEX}"));
    assert_eq!(both.with_tag("u").unwrap().to_string(), "quay.io/a/b:u");
}

#[test]
fn refuses_what_is_not_a_reference() {
    let long_tag = format!("a:{}", "t".repeat(129));
    let long_name = "a/".repeat(130) + "a";
    for text in [
        "",
        ":tag",
        "a:",
        "a@",
        "a//b",
        "/a",
        "a/",
        "a:b:c",
        "a b",
        "a/../b",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "-a",
        "a:-b",
        "a:b/",
        "Debian",
        "user/App",
        "ho_st.x/a",
        "host:port/a",
        "host:99999/a",
        "-h.x/a",
        "[::1/a",
        "[zz]:1/a",
        "a@sha256:12",
        "a@sha256:../../etc/passwd",
        "a@md5:d41d8cd98f00b204e9800998ecf8427e",
        "é",
        "https://x.y/a",
        HEX,
        &long_tag,
        &long_name,
    ] {
        assert!(Reference::parse(text).is_err(), "{text}");
    }
    let upper = format!("a@sha256:{}", HEX.to_uppercase());
    assert!(matches!(Reference::parse(&upper), Err(ReferenceError::Digest { .. })));
    assert!(matches!(Reference::parse("Debian"), Err(ReferenceError::Uppercase { .. })));
    assert!(matches!(Reference::parse(HEX), Err(ReferenceError::LooksLikeId { .. })));
}

proptest::proptest! {
    #[test]
    fn what_is_understood_is_written_back(text in "([a-zA-Z0-9]|[-._:/@]|\\[::1\\]|sha256:|localhost|docker\\.io/|library/){0,12}") {
        if let Ok(reference) = Reference::parse(&text) {
            proptest::prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
            proptest::prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
        }
    }
}
