//! The lossless syntax tree: every byte of a Dockerfile in one item.
//!
//! Made by [`tree`] without looking at what instructions mean; the typed instructions are made from its
//! [`Node`]s. Invariant: the extents of the items follow one another from the first byte to the last.

mod flag;
mod head;
mod heredoc;
mod reader;

pub use flag::Flag;
pub use head::Head;
pub(crate) use head::{is_blank, split_head};
pub use reader::{Tree, tree};

use crate::instruction::{Directive, Heredoc};
use crate::span::Span;
use crate::text::Text;

/// One or more whole lines of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// The byte order mark at the very start.
    ByteOrderMark(Span),
    /// `#!…` on the first line.
    Shebang(Span),
    /// A parser directive.
    Directive(Span, Directive),
    /// A comment line.
    Comment(Span),
    /// A line with white space at most.
    Blank(Span),
    /// An instruction, with its continuation lines and heredocs.
    Instruction(Node<'a>),
}

impl Item<'_> {
    /// Its lines, line ends included.
    pub const fn extent(&self) -> Span {
        match self {
            Self::ByteOrderMark(span)
            | Self::Shebang(span)
            | Self::Directive(span, _)
            | Self::Comment(span)
            | Self::Blank(span) => *span,
            Self::Instruction(node) => node.extent,
        }
    }
}

/// An instruction as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    /// All its lines, line ends included.
    pub extent: Span,
    /// From its keyword to its last character, heredoc bodies and their ends included.
    pub span: Span,
    /// The logical line: continuation lines joined, comments dropped.
    pub text: Text<'a>,
    /// How the logical line divides.
    pub head: Head,
    /// The here-documents behind the line.
    pub heredocs: Vec<Heredoc>,
    /// Comment lines between its continuation lines.
    pub comments: Vec<Span>,
}
