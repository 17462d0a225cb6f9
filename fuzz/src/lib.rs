//! What the fuzz targets share: models that need no session, and what must hold for every input.
//!
//! A target hands the same bytes to every model it has and panics where an invariant is broken;
//! `make fuzz` keeps the bytes that did it.

pub mod checks;
pub mod inference;
pub mod models;
pub mod prediction;

use ml_inference_api::task::DecodeLimits;

/// Bounds that small inputs can reach.
pub const LIMITS: DecodeLimits =
    DecodeLimits { max_instances: 8, max_depth: 8, max_bytes: 2048, max_pixels: 1 << 16 };
