//! The Node-API door
