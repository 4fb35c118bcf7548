//! The values of `--provenance`, `--attest`, `--sbom` and `--annotation`.
//!
//! Source of the syntax: buildx's references of these flags. What they mean for an output is decided in
//! `crate::commands::build::results`.

use kiln_builder::provenance::ProvenanceOptions;

use super::output::split_csv;

/// Kinds of statements.
const PROVENANCE: &str = "provenance";
const SBOM: &str = "sbom";

/// What is asked of the provenance; `None` asks for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceSpec(pub Option<ProvenanceOptions>);

/// A statement that is asked for: of those, only provenance is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttestSpec {
    /// `type=provenance`.
    Provenance(ProvenanceSpec),
    /// `type=sbom,disabled=true`: nothing is asked for.
    Nothing,
}

/// An annotation as an output's attribute has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationSpec {
    /// The attributes' keys: one for each kind of document.
    pub keys: Vec<String>,
    /// The value.
    pub value: String,
}

impl ProvenanceSpec {
    /// Reads `true`, `false` or `mode=max,version=v1,…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::of(split_csv(text)?)
    }

    fn of(fields: Vec<String>) -> Result<Self, String> {
        let mut kept = Vec::new();
        let mut wanted = true;
        for field in fields {
            match switch(&field)? {
                Some(on) => wanted = on,
                None => kept.push(field),
            }
        }
        let options = ProvenanceOptions::read(kept.iter().map(String::as_str));
        let options = options.map_err(|error| error.to_string())?;
        Ok(Self(wanted.then_some(options)))
    }
}

/// Whether a field switches a statement on or off; `None` if it says something else.
fn switch(field: &str) -> Result<Option<bool>, String> {
    let (is_off, value) = match field.split_once('=') {
        None if field.is_empty() => return Ok(None),
        None => match kiln_builder::images::boolean(field) {
            Some(on) => return Ok(Some(on)),
            None => return Err(format!("`{field}` is neither true, false nor KEY=VALUE")),
        },
        Some(("disabled", value)) => (true, value),
        Some(("enabled", value)) => (false, value),
        Some(_) => return Ok(None),
    };
    let value = kiln_builder::images::boolean(value);
    let value = value.ok_or_else(|| format!("{field}: true or false is meant"))?;
    Ok(Some(value != is_off))
}

impl AttestSpec {
    /// Reads `type=provenance,…` or `type=sbom,…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = split_csv(text)?;
        let is_type = |field: &String| field.starts_with("type=");
        let kind = fields.iter().find(|field| is_type(field)).cloned();
        fields.retain(|field| !is_type(field));
        match kind.as_deref().and_then(|kind| kind.strip_prefix("type=")) {
            Some(PROVENANCE) => Ok(Self::Provenance(ProvenanceSpec::of(fields)?)),
            Some(SBOM) => sbom(&fields),
            Some(other) => Err(format!("attestations of type `{other}` are not made; provenance is")),
            None => Err(format!("`{text}` has no type=")),
        }
    }

    /// Reads the value of `--sbom`.
    pub fn parse_sbom(text: &str) -> Result<Self, String> {
        sbom(&split_csv(text)?)
    }
}

/// No packages are listed; not to list them is no problem.
fn sbom(fields: &[String]) -> Result<AttestSpec, String> {
    for field in fields {
        if switch(field)? == Some(false) {
            return Ok(AttestSpec::Nothing);
        }
    }
    Err("kiln runs no scanner of packages; leave the list of packages (sbom) out".to_owned())
}

impl AnnotationSpec {
    /// Reads `[TYPE[PLATFORM][,TYPE…]:]KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let meant = || format!("`{text}` is not KEY=VALUE or TYPE:KEY=VALUE");
        let (before, value) = text.split_once('=').ok_or_else(meant)?;
        let (kinds, key) = match before.split_once(':') {
            Some((kinds, key)) => (kinds, key),
            None => ("manifest", before),
        };
        if key.is_empty() {
            return Err(meant());
        }
        let keys: Vec<String> = kinds.split(',').map(|kind| format!("annotation-{kind}.{key}")).collect();
        let mut checked = kiln_builder::images::Annotations::default();
        for key in &keys {
            checked.add(key, value).map_err(|error| format!("`{text}`: {error}"))?;
        }
        Ok(Self { keys, value: value.to_owned() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::provenance::{ProvenanceMode, SlsaVersion};

    use super::*;

    #[test]
    fn provenance_is_switched_on_and_off() {
        let parse = |text: &str| ProvenanceSpec::parse(text).unwrap().0;
        assert_eq!(parse("false"), None);
        assert_eq!(parse("mode=min,disabled=true"), None);
        assert_eq!(parse("true"), Some(ProvenanceOptions::default()));
        let options = parse("mode=min,version=v0.2").unwrap();
        assert_eq!((options.mode, options.version), (ProvenanceMode::Min, SlsaVersion::V02));
        assert!(ProvenanceSpec::parse("perhaps").unwrap_err().contains("`perhaps`"));
        assert!(ProvenanceSpec::parse("mode=most").unwrap_err().contains("mode=most"));
    }

    #[test]
    fn other_statements_are_refused() {
        assert!(matches!(
            AttestSpec::parse("type=provenance,mode=max"),
            Ok(AttestSpec::Provenance(ProvenanceSpec(Some(_))))
        ));
        assert_eq!(AttestSpec::parse("type=sbom,disabled=true"), Ok(AttestSpec::Nothing));
        assert_eq!(AttestSpec::parse_sbom("false"), Ok(AttestSpec::Nothing));
        assert!(AttestSpec::parse_sbom("generator=x").unwrap_err().contains("scanner"));
        assert!(AttestSpec::parse("type=weather").unwrap_err().contains("`weather`"));
        assert!(AttestSpec::parse("mode=max").unwrap_err().contains("no type="));
    }

    #[test]
    fn annotations_say_where_they_belong() {
        let keys = |text: &str| AnnotationSpec::parse(text).unwrap().keys;
        assert_eq!(keys("a.b=c=d"), ["annotation-manifest.a.b"]);
        assert_eq!(
            keys("index,manifest[linux/amd64]:a=b"),
            ["annotation-index.a", "annotation-manifest[linux/amd64].a"]
        );
        assert_eq!(AnnotationSpec::parse("a=b=c").unwrap().value, "b=c");
        for wrong in ["a", "=b", "layer:a=b", "manifest[?]:a=b"] {
            assert!(AnnotationSpec::parse(wrong).unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
    }
}
