//! What several screens draw with.

pub(crate) mod editor;
pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod qr;
pub(crate) mod sheet;

pub(crate) use self::{
    editor::Editor,
    field::Field,
    form::Form,
    list::Selection,
    page::Page,
    sheet::{Scroll, Sheet},
};
