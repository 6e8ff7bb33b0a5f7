//! The terminal interface. It sees [view types](hedgerow_sync::view) and asks for [`Effect`]s; it never sees the store or a transport, and is always a
//! client of the daemon's API, also in the demo, where the other end is in the same process.
//!
//! ```text
//!   keys, replies, events ──Input──▶ App::update ──Effect──▶ the program (terminal, API, daemon)
//!                                      │
//!                                   render(&App, frame)
//! ```
//!
//! [`App::update`] changes state and never blocks, draws or reads a clock; [`render`] only reads. Which key does what, what is said and how
//! it looks are data: [`keymap`], `text`, [`theme`]. A screen a file (`screen`).
#![forbid(unsafe_code)]

mod api;
mod app;
pub mod clean;
pub mod command;
mod fuzzy;
pub mod keymap;
mod model;
mod passphrase;
mod screen;
pub mod terminal;
mod text;
pub mod theme;
mod widget;

pub use self::{
    api::{Control, Refusal, Reply, Request, RequestId},
    app::{App, Civil, Effect, Input, Options, Secret, Start, render},
    text::{data_in_words, name_signs, signs, size},
    widget::qr::LinkCode,
};
