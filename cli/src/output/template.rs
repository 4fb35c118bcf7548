//! The part of Go's templates that `--format` is used with.
//!
//! `{{.Config.User}}`, `{{json .Config}}`, `{{index .RepoTags 0}}`, `{{index .Config.Labels "key"}}`,
//! `{{join .Config.Cmd ","}}`, `{{len .RepoTags}}`, `{{upper …}}`, `{{lower …}}`, and pipes between them. Anything
//! else (range, if, variables) is an error that names it. Values are JSON; called by the commands that list
//! and inspect.

use serde_json::Value;

/// A template that was read without mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Action(Vec<Call>),
}

/// One stage of a pipeline: a term alone, or a function and its arguments.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    function: Option<Function>,
    arguments: Vec<Term>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Json,
    Index,
    Join,
    Len,
    Upper,
    Lower,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Path(Vec<String>),
    Literal(Value),
}

impl Template {
    /// Reads a template. The error is one line for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            parts.push(Part::Text(unescape(&rest[..open])));
            let inside = &rest[open + 2..];
            let close = inside.find("}}").ok_or_else(|| format!("`{{{{` is not closed in `{text}`"))?;
            parts.push(Part::Action(parse_action(inside[..close].trim())?));
            rest = &inside[close + 2..];
        }
        parts.push(Part::Text(unescape(rest)));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { parts })
    }

    /// The text for one value.
    pub fn render(&self, value: &Value) -> Result<String, String> {
        self.parts.iter().map(|part| render_part(part, value)).collect()
    }

    /// The field names of the template, for a table's head: `{{.Tag}}` gives `TAG`.
    pub fn heads(&self) -> String {
        let head = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Action(calls) => {
                calls.iter().flat_map(|call| &call.arguments).find_map(head_of).unwrap_or_default()
            }
        };
        self.parts.iter().map(head).collect()
    }
}

/// `CreatedSince` is headed `CREATED SINCE`, `ID` is headed `ID`.
fn head_of(term: &Term) -> Option<String> {
    let Term::Path(path) = term else { return None };
    let name = path.last()?;
    let mut head = String::new();
    let mut previous_lower = false;
    for char in name.chars() {
        if char.is_uppercase() && previous_lower {
            head.push(' ');
        }
        previous_lower = char.is_lowercase();
        head.extend(char.to_uppercase());
    }
    Some(head)
}

/// `\t` and `\n` as docker's command line reads them.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

fn parse_action(text: &str) -> Result<Vec<Call>, String> {
    let mut calls = vec![Vec::new()];
    for token in tokens(text)? {
        match (token.as_str(), calls.last_mut()) {
            ("|", _) => calls.push(Vec::new()),
            (_, Some(call)) => call.push(token),
            (_, None) => {}
        }
    }
    calls.iter().map(|tokens| parse_call(tokens, text)).collect()
}

fn parse_call(tokens: &[String], action: &str) -> Result<Call, String> {
    let (first, rest) =
        tokens.split_first().ok_or_else(|| format!("nothing stands in `{{{{{action}}}}}`"))?;
    let function = match first.as_str() {
        "json" => Function::Json,
        "index" => Function::Index,
        "join" => Function::Join,
        "len" => Function::Len,
        "upper" => Function::Upper,
        "lower" => Function::Lower,
        _ if rest.is_empty() => return Ok(Call { function: None, arguments: vec![parse_term(first)?] }),
        other => return Err(unsupported(other)),
    };
    let arguments = rest.iter().map(|token| parse_term(token)).collect::<Result<_, _>>()?;
    Ok(Call { function: Some(function), arguments })
}

fn parse_term(token: &str) -> Result<Term, String> {
    if let Some(path) = token.strip_prefix('.') {
        let names = path.split('.').filter(|name| !name.is_empty());
        return Ok(Term::Path(names.map(str::to_owned).collect()));
    }
    if token.starts_with('"') || token.parse::<i64>().is_ok() {
        return serde_json::from_str(token)
            .map(Term::Literal)
            .map_err(|_| format!("{token} is not a string"));
    }
    Err(unsupported(token))
}

fn unsupported(word: &str) -> String {
    format!("`{word}` in a format is not supported: fields, json, index, join, len, upper, lower and | are")
}

/// Words, quoted strings (quotes kept) and `|`.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => quoted_length(rest).ok_or_else(|| format!("a quote is not closed in `{text}`"))?,
            '|' => 1,
            _ => rest.find(|char: char| char.is_whitespace() || char == '|').unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (offset, char) in text.char_indices().skip(1) {
        match char {
            '"' if !escaped => return Some(offset + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn render_part(part: &Part, value: &Value) -> Result<String, String> {
    match part {
        Part::Text(text) => Ok(text.clone()),
        Part::Action(calls) => {
            let mut piped = None;
            for call in calls {
                piped = Some(evaluate(call, value, piped)?);
            }
            Ok(piped.map(|value| to_go_text(&value)).unwrap_or_default())
        }
    }
}

fn evaluate(call: &Call, root: &Value, piped: Option<Value>) -> Result<Value, String> {
    let terms = call.arguments.iter().map(|term| match term {
        Term::Literal(value) => Ok(value.clone()),
        Term::Path(path) => follow(root, path),
    });
    let arguments: Vec<Value> = terms.chain(piped.map(Ok)).collect::<Result<_, _>>()?;
    match (call.function, arguments.as_slice()) {
        (None, [value]) => Ok(value.clone()),
        (Some(Function::Json), [value]) => Ok(Value::String(value.to_string())),
        (Some(Function::Len), [value]) => Ok(Value::from(length(value)?)),
        (Some(Function::Upper), [value]) => Ok(Value::String(to_go_text(value).to_uppercase())),
        (Some(Function::Lower), [value]) => Ok(Value::String(to_go_text(value).to_lowercase())),
        (Some(Function::Join), [Value::Array(values), Value::String(between)]) => {
            Ok(Value::String(values.iter().map(to_go_text).collect::<Vec<_>>().join(between)))
        }
        (Some(Function::Join), [Value::Null, Value::String(_)]) => Ok(Value::String(String::new())),
        (Some(Function::Index), [value, keys @ ..]) if !keys.is_empty() => {
            keys.iter().try_fold(value.clone(), |value, key| index(&value, key))
        }
        _ => Err("a function in the format has the wrong arguments".to_owned()),
    }
}

fn follow(root: &Value, path: &[String]) -> Result<Value, String> {
    path.iter().try_fold(root.clone(), |value, name| match value {
        Value::Object(mut fields) => {
            fields.remove(name).ok_or_else(|| format!("there is no field `{name}` in `.{}`", path.join(".")))
        }
        Value::Null => Ok(Value::Null),
        _ => Err(format!("`.{}`: what `{name}` is asked of has no fields", path.join("."))),
    })
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Array(values), Value::Number(number)) => {
            let position = number.as_u64().and_then(|number| usize::try_from(number).ok());
            let found = position.and_then(|position| values.get(position));
            found
                .cloned()
                .ok_or_else(|| format!("index {number} is out of range, there are {}", values.len()))
        }
        // Go gives the element type's zero value for a key that a map lacks.
        (Value::Object(fields), Value::String(name)) => {
            Ok(fields.get(name).cloned().unwrap_or_else(|| Value::String(String::new())))
        }
        (Value::Null, Value::String(_)) => Ok(Value::String(String::new())),
        _ => Err(format!("{key} is no index of that value")),
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::Array(values) => Ok(values.len()),
        Value::Object(fields) => Ok(fields.len()),
        Value::String(text) => Ok(text.len()),
        Value::Null => Ok(0),
        _ => Err("len of a number".to_owned()),
    }
}

/// A value as Go's `%v` prints it.
fn to_go_text(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(to_go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, value)| format!("{key}:{}", to_go_text(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let value = json!({
            "Id": "sha256:1", "Size": 7, "RepoTags": ["a:1", "b:2"],
            "Config": {"User": "u", "Env": null, "Labels": {"a.b": "c"}, "Cmd": ["x", "y"]},
        });
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn what_is_supported() {
        let cases = [
            ("{{.Id}}", "sha256:1"),
            ("{{ .Size }}B", "7B"),
            ("{{.RepoTags}}", "[a:1 b:2]"),
            ("{{.Config.Labels}}", "map[a.b:c]"),
            ("{{json .Config.Cmd}}", "[\"x\",\"y\"]"),
            ("{{.Config.Cmd | json}}", "[\"x\",\"y\"]"),
            ("{{index .RepoTags 1}}", "b:2"),
            ("{{index .Config.Labels \"a.b\"}}|{{index .Config.Labels \"none\"}}", "c|"),
            ("{{join .RepoTags \", \"}}", "a:1, b:2"),
            ("{{len .RepoTags}}\\t{{upper .Config.User}}", "2\tU"),
            ("{{.Config.Env}}", "<no value>"),
            ("plain", "plain"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_is_named() {
        let cases = [
            ("{{range .RepoTags}}", "`range`"),
            ("{{if .Id}}", "`if`"),
            ("{{.Nope}}", "`Nope`"),
            ("{{.Id.x}}", "`x`"),
            ("{{.Id", "not closed"),
            ("{{}}", "nothing"),
            ("{{index .RepoTags 9}}", "out of range"),
            ("{{join .Size \",\"}}", "arguments"),
            ("{{index .Config.Labels \"x}}", "quote"),
            ("{{$x}}", "`$x`"),
        ];
        for (template, expected) in cases {
            assert!(render(template).unwrap_err().contains(expected), "{template}: {:?}", render(template));
        }
    }

    #[test]
    fn heads_of_a_table() {
        let template = Template::parse("{{.Repository}}\t{{.CreatedSince}}\t{{.ID}}").unwrap();
        assert_eq!(template.heads(), "REPOSITORY\tCREATED SINCE\tID");
    }
}
