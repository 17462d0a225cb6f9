//! Health routes, the ready file and the admin listener.

mod admin;
mod loading;
mod ready;
