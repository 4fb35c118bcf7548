//! `RUN --mount=` whose type, sharing or switches hold variables: what it is is known once they are expanded.
//!
//! Every other value is a word that whoever lowers the mount expands; those that are read here decide about its form, and
//! so about which keys it may have. Called by the graph, which knows the variables.

use std::borrow::Cow;

use super::mount::{empty, misplaced, set};
use crate::diagnostic::Diagnostic;
use crate::instruction::{Mount, MountField, Word};

/// The keys whose values are among a few.
const CHOICES: [&str; 7] = ["type", "sharing", "readonly", "ro", "readwrite", "rw", "required"];

/// What makes a value something else once it is expanded.
const EXPANDABLE: [char; 5] = ['$', '\'', '"', '\\', '`'];

impl Mount {
    /// The mount as it is once the values that its form depends on are expanded by `expand`: itself if none does. Otherwise
    /// the mistakes.
    pub fn settled(
        &self,
        mut expand: impl FnMut(&Word) -> Result<String, Box<Diagnostic>>,
    ) -> Result<Cow<'_, Self>, Vec<Diagnostic>> {
        if self.open.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut found = Vec::new();
        let mut fields = self.open.clone();
        for field in fields.iter_mut().filter(|field| is_open(field)) {
            let Some(word) = &mut field.value else { continue };
            match expand(word) {
                Ok(value) => word.value = value,
                Err(diagnostic) => found.push(*diagnostic),
            }
        }
        if found.is_empty() {
            let mut mount = empty(self.span);
            found.extend(fields.iter().filter_map(|field| set(&mut mount, field).err()));
            found.extend(misplaced(&mount));
            if found.is_empty() {
                return Ok(Cow::Owned(mount));
            }
        }
        Err(found)
    }
}

/// Whether a choice is open until it is expanded.
pub(super) fn is_open(field: &MountField) -> bool {
    let open = |word: &Word| word.value.contains(EXPANDABLE);
    CHOICES.contains(&field.key.as_str()) && field.value.as_ref().is_some_and(open)
}
