//! The lexical rules of RFC 3261 §25.1, with nom: token, quoted string, LWS, host, parameters.
