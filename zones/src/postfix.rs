//! What Postfix asks before it takes mail, and what it is told: the protocol of its SMTPD_POLICY_README.
//!
//! - [`requests`]: the bytes of a connection, in any pieces, to typed requests
//! - [`action`]: what can be answered, and how an answer is written
//! - [`transactions`]: what was said and learned of a message before, since Postfix asks once for each recipient
//!
//! A request is lines `name=value`, ended by an empty line; an answer is `action=...` and an empty line. Many requests
//! come over one connection, each after the answer to the one before. The words of a verdict for replies and headers
//! are made in [`crate::answer`], sockets and times are the server's business.

pub mod action;
pub mod requests;
pub mod transactions;

pub use action::Action;
pub use requests::{Garbled, Request, Requests, Stage};
pub use transactions::{Lesson, Transactions};
