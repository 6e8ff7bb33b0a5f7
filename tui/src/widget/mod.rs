//! What several screens draw with.

pub(crate) mod editor;
pub(crate) mod field;
pub(crate) mod list;
pub(crate) mod qr;
pub(crate) mod sheet;

pub(crate) use self::{editor::Editor, field::Field, list::Selection, sheet::Sheet};
