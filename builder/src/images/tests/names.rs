//! Names, ids, lists, histories, removal.

use kiln_cache::PruneOptions;

use super::*;

#[test]
fn an_image_is_found_by_every_way_to_say_it() {
    let fixture = Fixture::new();
    let images = &fixture.images;
    let record = fixture.image("x", &[]);
    images.name(&record, &name("app:1")).unwrap();
    let hex = record.id.digest().to_owned();
    for text in ["app:1", "docker.io/library/app:1", &hex, &hex[..12], &format!("sha256:{}", &hex[..12])] {
        assert_eq!(images.find(text).unwrap().id, record.id, "{text}");
    }
    for text in ["app", "app:2", "user/app:1", "0000000000000"] {
        assert!(matches!(images.find(text), Err(ImageError::NotFound { .. })), "{text}");
    }
    assert!(matches!(images.find("App"), Err(ImageError::Reference(_))));
}

#[test]
fn a_digest_finds_what_came_from_there() {
    let fixture = Fixture::new();
    let digest = format!("sha256:{}", "a".repeat(64));
    let origin = Some(format!("docker.io/library/app:1@{digest}"));
    let made = fixture.image("x", &[]);
    let manifest =
        kiln_registry::Descriptor::new(kiln_registry::MediaType::ImageManifest, 1, made.id.clone());
    let record = ImageRecord { origin, manifest: Some(manifest), ..made };
    fixture.images.store.images().add(&record).unwrap();
    assert_eq!(fixture.images.find(&format!("app@{digest}")).unwrap().id, record.id);
    assert!(fixture.images.find(&format!("other@{digest}")).is_err());
    let listed = fixture.images.list().unwrap();
    assert_eq!(listed[0].repo_digests(), [format!("app@{digest}")]);
    assert_eq!(listed[0].digest_of(Some(&name("app:9"))).unwrap().to_string(), digest);
    assert_eq!(listed[0].digest_of(Some(&name("b"))), None);
}

#[test]
fn tag_moves_a_name_and_keeps_the_others() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.image("1", &[]), fixture.image("2", &[]));
    fixture.images.name(&one, &name("a")).unwrap();
    fixture.images.name(&two, &name("b")).unwrap();
    fixture.images.tag("b", &name("a:latest")).unwrap();
    assert_eq!(fixture.images.find("a").unwrap().id, two.id);
    let pinned = name("a").with_digest(one.id.clone());
    assert!(matches!(fixture.images.tag("b", &pinned), Err(ImageError::DigestName { .. })));
    let inspected = fixture.images.inspect("b").unwrap();
    assert_eq!(inspected.listed.names, [name("a"), name("b")]);
    assert_eq!(inspected.config.config.labels["l"], "2");
}

#[test]
fn removing_the_last_name_removes_the_image() {
    let fixture = Fixture::new();
    let record = fixture.image("x", &[]);
    for text in ["a", "b"] {
        fixture.images.name(&record, &name(text)).unwrap();
    }
    assert_eq!(fixture.images.remove("a", false).unwrap(), [Removed::Untagged(name("a"))]);
    assert!(fixture.images.find("b").is_ok());
    let expected = [Removed::Untagged(name("b")), Removed::Deleted(record.id.clone())];
    assert_eq!(fixture.images.remove("b", false).unwrap(), expected);
    assert!(matches!(fixture.images.remove("b", false), Err(ImageError::NotFound { .. })));
}

#[test]
fn an_id_with_several_names_goes_by_force() {
    let fixture = Fixture::new();
    let record = fixture.image("x", &[]);
    for text in ["a", "b"] {
        fixture.images.name(&record, &name(text)).unwrap();
    }
    let id = &record.id.digest()[..12];
    let error = fixture.images.remove(id, false).unwrap_err();
    assert!(matches!(&error, ImageError::SeveralNames { names, .. } if names == &["a:latest", "b:latest"]));
    assert!(error.hint().unwrap().contains("--force"));
    assert_eq!(fixture.images.remove(id, true).unwrap().len(), 3);
    assert!(fixture.images.list().unwrap().is_empty());
}

#[test]
fn the_history_is_newest_first_and_knows_sizes() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let lines = fixture.images.history(&record).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.created_by.as_str()).collect::<Vec<_>>(),
        ["LABEL l", "COPY . .", "COPY . ."]
    );
    assert_eq!(lines[0].size, 0);
    assert!(lines[1].size > 0 && lines[2].size > lines[1].size);
    let listed = &fixture.images.list().unwrap()[0];
    assert_eq!(listed.size, lines[1].size + lines[2].size);
}

#[test]
fn prune_keeps_what_has_a_name() {
    let fixture = Fixture::new();
    let (kept, lost) = (sample(&fixture), fixture.image("lost", &[]));
    fixture.images.name(&kept, &name("kept")).unwrap();
    let report = fixture.images.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(report.images, [lost.id]);
    assert_eq!(fixture.images.list().unwrap().len(), 1);
    assert!(fixture.images.history(&kept).is_ok());
}
