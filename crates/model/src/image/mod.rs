//! The image's way: an encoder down, a decoder up.

pub(crate) mod decoder;
pub(crate) mod encoder;
