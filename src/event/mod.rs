//! Event notification, for any package (RFC 6665, RFC 3903): the machines of one subscription or publication.
//!
//! Nothing here knows presence. May use: `dialog`, `transaction`, `sip`, `random`, `time`.
