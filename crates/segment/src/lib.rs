//! A chest CT goes in, a label map comes out
