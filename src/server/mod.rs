//! The root machine of a presence server.
