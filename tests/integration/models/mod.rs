//! Models as people have them: real exports in every layout, pictures and texts, and models that
//! mean harm.

mod exports;
mod hostile;
mod kserve;
mod layouts;
mod pictures;
mod providers;
mod texts;
