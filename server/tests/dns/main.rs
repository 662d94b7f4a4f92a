//! The DNS side as its clients see it: the real sockets on free ports, a judge made of tables.

mod compliance;
mod ends;
mod fuzz;
mod rules;
mod serving;
mod support;
