//! What several screens draw with.

pub(crate) mod editor;
pub(crate) mod list;
pub(crate) mod page;

pub(crate) use self::{editor::Editor, list::Selection, page::Page};
