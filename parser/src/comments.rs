//! The comment lines above each instruction: what they say about checks, and what they describe.
//!
//! A lone `#` cuts off what stands above it. Used by the checks here, and by callers that list the stages and
//! arguments of a file with their descriptions. Source of the form: the reference of `docker build --call`.

use crate::span::Span;
use crate::syntax::{Item, Tree, tree};

/// The comments of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments<'a> {
    all: Vec<Above<'a>>,
}

/// The comments above one instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Above<'a> {
    /// The lines of the instruction.
    pub extent: Span,
    /// The comments, without `#` and white space.
    pub lines: Vec<&'a str>,
    /// How many of them, counted from the end, no blank line separates from the instruction.
    near: usize,
}

impl<'a> Above<'a> {
    /// The comments that stand directly above the instruction.
    pub fn adjacent(&self) -> &[&'a str] {
        &self.lines[self.lines.len() - self.near..]
    }
}

impl<'a> Comments<'a> {
    /// The comments of `source`.
    pub fn new(source: &'a str) -> Self {
        Self::of(source, &tree(source))
    }

    /// The comments of `tree`, whose text is `source`.
    pub(crate) fn of(source: &'a str, tree: &Tree<'_>) -> Self {
        let mut all = Vec::new();
        let (mut lines, mut near) = (Vec::new(), 0);
        for item in &tree.items {
            match item {
                Item::Comment(span) => match text(source, *span) {
                    "" => (lines, near) = (Vec::new(), 0),
                    text => {
                        lines.push(text);
                        near += 1;
                    }
                },
                Item::Blank(_) => near = 0,
                Item::Instruction(node) => {
                    if !lines.is_empty() {
                        let lines = std::mem::take(&mut lines);
                        all.push(Above { extent: node.extent, lines, near });
                    }
                    near = 0;
                }
                _ => {}
            }
        }
        Self { all }
    }

    /// The instructions that have comments, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Above<'a>> {
        self.all.iter()
    }

    /// What the comments above `instruction` say of `name`: the rest of the line that begins with it.
    pub fn description(&self, instruction: Span, name: &str) -> Option<&'a str> {
        let index = self.all.partition_point(|above| above.extent.end <= instruction.start);
        let above = self.all.get(index).filter(|above| above.extent.start <= instruction.start)?;
        above.adjacent().iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    }
}

fn text(source: &str, span: Span) -> &str {
    let line = source.get(span.range()).unwrap_or_default().trim();
    line.strip_prefix('#').unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::Comments;
    use crate::span::Span;

    fn described<'a>(source: &'a str, instruction: &str, name: &str) -> Option<&'a str> {
        let start = source.find(instruction).unwrap_or(source.len());
        Comments::new(source).description(Span::new(start, start + instruction.len()), name)
    }

    #[test]
    fn a_description_begins_with_the_name() {
        let source =
            "# V the version\n# other words\nARG V=1\n\n# b makes it\n  FROM x AS b\n#c is it\nRUN y";
        assert_eq!(described(source, "ARG", "V"), Some("the version"));
        assert_eq!(described(source, "ARG", "other"), Some("words"));
        assert_eq!(described(source, "FROM", "b"), Some("makes it"));
        assert_eq!(described(source, "RUN", "c"), Some("is it"));
        assert_eq!(described(source, "RUN", "b"), None);
        assert_eq!(described(source, "ARG", "v"), None);
    }

    #[test]
    fn a_blank_line_or_an_empty_comment_comes_between() {
        for between in ["\n", "#\n", "# \n"] {
            let source = format!("# b makes it\n{between}FROM x AS b\n");
            assert_eq!(described(&source, "FROM", "b"), None, "{between:?}");
        }
        assert_eq!(described("FROM x", "FROM", "x"), None);
    }
}
