//! The networks: image, text, fusion
