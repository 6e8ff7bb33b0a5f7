//! What several screens draw with.

pub(crate) mod editor;
pub(crate) mod field;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod qr;

pub(crate) use self::{editor::Editor, field::Field, list::Selection, page::Page};
